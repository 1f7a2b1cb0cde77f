//! Counts the events of an SSE stream without storing its data.

/// Long enough for every event name that the counter looks for.
const NAME_BYTES: usize = 64;

/// Reads a stream chunk by chunk. An event begins with its `event:` line.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    line: Vec<u8>,
    /// The number of events so far.
    pub(crate) events: u64,
    /// Whether the stream had an `error` event.
    pub(crate) error: bool,
}

impl Scanner {
    /// Takes the next bytes of the stream.
    pub(crate) fn feed(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            self.extend(&rest[..end]);
            if let Some(name) = self.line.strip_prefix(b"event:") {
                self.events += 1;
                self.error |= name.trim_ascii() == b"error";
            }
            self.line.clear();
            rest = &rest[end + 1..];
        }
        self.extend(rest);
    }

    fn extend(&mut self, part: &[u8]) {
        let room = NAME_BYTES - self.line.len();
        self.line.extend_from_slice(&part[..part.len().min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_may_end_anywhere() {
        let stream = b"event: metadata\r\ndata: {}\r\n\r\n: keep-alive\n\nevent: error\ndata: event: x\n\n";
        for size in 1..stream.len() {
            let mut scanner = Scanner::default();
            stream.chunks(size).for_each(|chunk| scanner.feed(chunk));
            assert_eq!((scanner.events, scanner.error), (2, true), "chunks of {size}");
        }
    }
}
