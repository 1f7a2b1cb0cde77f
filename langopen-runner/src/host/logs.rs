//! Writes the output and log records of user code into this process's log.

use tracing::{Level, Span, event, warn};

use super::Host;
use crate::frame::payload::{Log, from_json};

/// The longest line or record of a log, in bytes. Longer ones are cut.
pub(super) const MAX_LINE: usize = 64 * 1024;

/// Cuts a text that is too long for a log, at a character boundary.
pub(super) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_LINE)]
}

/// Writes a LOG frame into this process's log, with the ids of its run, if the run is in flight.
pub(crate) fn write(host: &Host, run: u32, payload: &[u8]) {
    let log: Log = match from_json("host.log", payload) {
        Ok(log) => log,
        Err(error) => {
            warn!(host = host.number, %error, "cannot decode a log record of a graph host");
            return;
        }
    };
    let span = host.runs.lock().get(&run).map(|run| run.span.clone());
    // The span already has the id. A thread of a run that has ended may still print.
    let run_id = log.run_id.as_deref().filter(|_| span.as_ref().is_none_or(Span::is_disabled));
    let _entered = span.as_ref().map(Span::enter);
    let (source, logger, message) = (cut(&log.source), log.logger.as_deref().map(cut), cut(&log.message));
    macro_rules! record {
        ($level:expr) => {
            event!(target: "langopen::graph", $level, host = host.number, run_id, source, logger, "{message}")
        };
    }
    match log.level.to_ascii_lowercase().as_str() {
        "debug" => record!(Level::DEBUG),
        "warning" | "warn" => record!(Level::WARN),
        "error" | "critical" => record!(Level::ERROR),
        _ => record!(Level::INFO),
    }
}
