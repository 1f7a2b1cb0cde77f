//! The output of a host's process that the host program does not capture: native code, child processes, and Python or
//! node while they start.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt};
use tracing::info;

use super::logs::MAX_LINE;

/// How many of the last lines explain a failed start, and how many bytes of each.
const TAIL: usize = 40;
const TAIL_LINE: usize = 1024;

/// The size of one read.
const CHUNK: usize = 16 * 1024;

/// The last output lines of a process.
#[derive(Clone, Default)]
pub(super) struct Tail(Arc<Mutex<Vec<String>>>);

impl Tail {
    fn push(&self, line: &str) {
        let mut lines = self.0.lock();
        if lines.len() == TAIL {
            lines.remove(0);
        }
        lines.push(line.chars().take(TAIL_LINE).collect());
    }

    /// The lines, after a line break; empty if there are none.
    pub(super) fn text(&self) -> String {
        let lines = self.0.lock();
        if lines.is_empty() { String::new() } else { format!(":\n{}", lines.join("\n")) }
    }
}

/// Writes the lines of a pipe into the log as they arrive.
pub(super) fn forward<R>(pipe: Option<R>, number: usize, source: &'static str, tail: Tail)
where
    R: AsyncRead + Unpin + Send + 'static,
{
    let Some(pipe) = pipe else { return };
    let write = move |line: &str| {
        info!(target: "langopen::graph", host = number, source, "{line}");
        tail.push(line);
    };
    tokio::spawn(async move { lines(pipe, write).await });
}

/// Passes on the lines of a pipe. A line longer than [`MAX_LINE`] is split, so memory stays bounded.
async fn lines<R: AsyncRead + Unpin>(mut pipe: R, mut write: impl FnMut(&str)) {
    let mut line = Vec::with_capacity(CHUNK);
    let mut chunk = vec![0; CHUNK];
    let mut give = |line: &mut Vec<u8>| {
        write(String::from_utf8_lossy(line).trim_end());
        line.clear();
    };
    while let Ok(count @ 1..) = pipe.read(&mut chunk).await {
        for part in chunk[..count].split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(part);
            if part.ends_with(b"\n") || line.len() >= MAX_LINE {
                give(&mut line);
            }
        }
    }
    if !line.is_empty() {
        give(&mut line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &[u8]) -> Vec<String> {
        let mut seen = Vec::new();
        lines(bytes, |line| seen.push(line.to_owned())).await;
        seen
    }

    #[tokio::test]
    async fn lines_come_whole_and_long_ones_in_pieces() {
        assert_eq!(read(b"one\r\ntwo\n\nlast").await, ["one", "two", "", "last"]);
        let long = vec![b'x'; 10 * MAX_LINE];
        let pieces = read(&long).await;
        assert!(pieces.len() >= 10 && pieces.iter().all(|piece| piece.len() < MAX_LINE + CHUNK), "{}", pieces.len());
        assert_eq!(pieces.iter().map(String::len).sum::<usize>(), long.len());
    }
}
