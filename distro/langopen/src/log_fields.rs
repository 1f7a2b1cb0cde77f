//! Formats the fields of log records as text. Each record is one line, whatever user code writes into it.

use std::error::Error;
use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

/// Formats fields as `tracing_subscriber` does, but escapes control characters. Otherwise a line break in a message
/// could forge a log record, and escape sequences could control the terminal.
pub(crate) struct EscapedFields;

impl<'writer> FormatFields<'writer> for EscapedFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visitor = Visitor { writer, first: true, result: Ok(()) };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct Visitor<'writer> {
    writer: Writer<'writer>,
    first: bool,
    result: fmt::Result,
}

impl Visitor<'_> {
    fn write(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        // The `log` crate's bridge adds fields that repeat the record's own.
        if self.result.is_ok() && !field.name().starts_with("log.") {
            self.result = self.try_write(field, value);
        }
    }

    fn try_write(&mut self, field: &Field, value: fmt::Arguments<'_>) -> fmt::Result {
        if !std::mem::take(&mut self.first) {
            self.writer.write_char(' ')?;
        }
        let name = field.name().trim_start_matches("r#");
        match (name, self.writer.has_ansi_escapes()) {
            ("message", _) => {}
            (_, true) => write!(self.writer, "\u{1b}[3m{name}\u{1b}[0m\u{1b}[2m=\u{1b}[0m")?,
            (_, false) => write!(self.writer, "{name}=")?,
        }
        Escaped(&mut self.writer).write_fmt(value)
    }
}

impl Visit for Visitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.write(field, format_args!("{value}")),
            _ => self.write(field, format_args!("{value:?}")),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.write(field, format_args!("{value}"));
        let mut source = value.source();
        while let (Some(cause), true) = (source, self.result.is_ok()) {
            self.result = write!(Escaped(&mut self.writer), ": {cause}");
            source = cause.source();
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.write(field, format_args!("{value:?}"));
    }
}

/// A writer that escapes the text written to it.
struct Escaped<'a, W>(&'a mut W);

impl<W: Write> Write for Escaped<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut plain = 0;
        for (at, char) in text.char_indices().filter(|(_, char)| is_escaped(*char)) {
            self.0.write_str(&text[plain..at])?;
            write!(self.0, "{}", char.escape_debug())?;
            plain = at + char.len_utf8();
        }
        self.0.write_str(&text[plain..])
    }
}

/// Whether to escape the character: a control character except the tab, a line separator, or a change of text
/// direction.
fn is_escaped(char: char) -> bool {
    match char {
        '\t' => false,
        '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => char.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::prelude::*;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Lines {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn a_record_is_one_line_whatever_a_graph_prints() {
        let lines = Lines::default();
        let layer = tracing_subscriber::fmt::layer().fmt_fields(EscapedFields).with_ansi(false).without_time();
        let subscriber = tracing_subscriber::registry().with(layer.with_writer(lines.clone()));
        let said = "done\n2026-01-01T00:00:00Z  INFO forged: \u{1b}[31mred\u{0}\r\u{85}\u{2028}\tend";
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::error_span!("run", name = said, run_id = tracing::field::Empty);
            span.record("run_id", said);
            let _entered = span.enter();
            let error = io::Error::other(said);
            tracing::info!(target: "langopen::graph", source = said, error = &error as &dyn Error, shown = %said, "{said}");
        });
        let written = String::from_utf8(lines.0.lock().clone()).unwrap();
        let line = written.strip_suffix('\n').unwrap();
        assert!(!line.contains(|char: char| char.is_control() && char != '\t'), "{line:?}");
        let escaped = r"done\n2026-01-01T00:00:00Z  INFO forged: \u{1b}[31mred\0\r\u{85}\u{2028}";
        assert_eq!(line.matches(escaped).count(), 6, "{line}");
        assert!(line.contains(&format!("langopen::graph: {escaped}\tend source=\"done\\n")), "{line}");
    }
}
