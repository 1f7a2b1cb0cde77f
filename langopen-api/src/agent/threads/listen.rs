//! Streams a thread's events until the client disconnects or the thread is deleted.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use langopen_core::event_log::{Event, NATIVE};
use langopen_core::run_service::{ThreadRead, ThreadReader};
use tokio::time::{Instant, timeout};

use super::stream::Modes;
use crate::http::sse::{HEARTBEAT, frame, frames};

/// The `error` event for a caller whose filter hides the thread.
pub(super) fn denied() -> Bytes {
    frame(b"error", br#"{"error":"HTTPException","message":"404: Thread not found"}"#)
}

/// The `error` event that ends a stream with a gap.
fn slow_reader() -> Bytes {
    frame(
        b"error",
        br#"{"error":"SlowReader","message":"this stream lost its position in the log, most likely because the client read too slowly; open it again with Last-Event-ID to get the events that the log still has"}"#,
    )
}

/// The frames of the events of these modes, with heartbeats.
pub(super) fn listen(
    reader: ThreadReader,
    heartbeat: Duration,
    modes: Modes,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    let frames = futures::stream::unfold(reader, move |mut reader| async move {
        Some((next(&mut reader, heartbeat, modes).await?, reader))
    });
    frames.flat_map(|pieces| futures::stream::iter(pieces.into_iter().map(Ok)))
}

async fn next(reader: &mut ThreadReader, heartbeat: Duration, modes: Modes) -> Option<Vec<Bytes>> {
    let begun = Instant::now();
    let wanted = |event: &&Event| !event.name.starts_with(NATIVE) && modes.want(event);
    loop {
        // If the client filters all events out, it needs heartbeats too.
        let patience = heartbeat.saturating_sub(begun.elapsed());
        let pieces = match timeout(patience, reader.next()).await {
            Ok(None) => return None,
            Ok(Some(ThreadRead::Events(events))) => frames(events.iter().filter(wanted), true),
            Ok(Some(ThreadRead::Hidden)) => vec![denied()],
            Ok(Some(ThreadRead::Lost)) => vec![slow_reader()],
            Err(_) => return (!reader.is_gone().await).then_some(vec![HEARTBEAT]),
        };
        match pieces.is_empty() {
            false => return Some(pieces),
            true if begun.elapsed() >= heartbeat => return Some(vec![HEARTBEAT]),
            true => {}
        }
    }
}
