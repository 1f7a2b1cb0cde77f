//! Reads server-sent events.

use serde::Serialize;

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SseEvent {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) data: String,
}

/// Assembles events from pieces of a stream.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    event: Option<SseEvent>,
}

impl Parser {
    /// Adds the next piece, and returns the events that are complete now. An incomplete event at the end of a broken
    /// stream is dropped.
    pub(crate) fn feed(&mut self, piece: &[u8]) -> Vec<SseEvent> {
        let mut whole = Vec::new();
        for byte in piece {
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(&line)).into_owned();
            match line.split_once(": ").or_else(|| line.split_once(':')) {
                _ if line.is_empty() => whole.extend(self.event.take()),
                Some(("event", name)) => name.clone_into(&mut self.event().name),
                Some(("data", data)) => data.clone_into(&mut self.event().data),
                Some(("id", id)) => id.clone_into(&mut self.event().id),
                // A comment keeps the connection alive.
                _ => {}
            }
        }
        whole
    }

    fn event(&mut self) -> &mut SseEvent {
        self.event.get_or_insert_with(|| SseEvent { id: String::new(), name: String::new(), data: String::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_may_end_anywhere() {
        let stream = b"event: metadata\r\ndata: {}\r\nid: 1-0\r\n\r\n: alive\r\n\r\nevent: custom\ndata: [1]\nid: 1-1\n\nevent: lost\n";
        for size in 1..stream.len() {
            let mut parser = Parser::default();
            let events: Vec<_> = stream.chunks(size).flat_map(|piece| parser.feed(piece)).collect();
            let seen: Vec<_> = events.iter().map(|event| (event.id.as_str(), event.data.as_str())).collect();
            assert_eq!(seen, [("1-0", "{}"), ("1-1", "[1]")], "pieces of {size}");
        }
    }
}
