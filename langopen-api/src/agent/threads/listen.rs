//! Streams a thread's events until the client disconnects or the thread is deleted.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use langopen_core::event_log::{Event, EventStream, NATIVE};
use langopen_core::{Result, Scope, ThreadId};
use tokio::time::{Instant, timeout};

use super::sight::{Sight, Watch};
use super::stream::Modes;
use crate::agent::App;
use crate::http::batches::Batches;
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

/// The subscription of one client to a thread.
pub(super) struct Listen {
    thread_id: ThreadId,
    watch: Watch,
    heartbeat: Duration,
    modes: Modes,
    events: Batches,
    ended: bool,
}

impl Listen {
    pub(super) fn new(app: &App, scope: Scope, thread_id: ThreadId, modes: Modes, events: EventStream) -> Self {
        let events = Batches::new(&app.shared, thread_id, events);
        let (watch, heartbeat) = (Watch::new(app, scope, thread_id), app.settings.heartbeat);
        Self { thread_id, watch, heartbeat, modes, events, ended: false }
    }

    /// Checks whether the caller sees the thread.
    pub(super) async fn look(&mut self) -> Result<Sight> {
        self.watch.look().await
    }

    /// The bytes for the client.
    pub(super) fn stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
        let frames = futures::stream::unfold(self, |mut this| async move { Some((this.next().await?, this)) });
        frames.flat_map(|pieces| futures::stream::iter(pieces.into_iter().map(Ok)))
    }

    async fn next(&mut self) -> Option<Vec<Bytes>> {
        let heartbeat = self.heartbeat;
        let begun = Instant::now();
        while !self.ended {
            // If the client filters all events out, it needs heartbeats too.
            let patience = heartbeat.saturating_sub(begun.elapsed());
            match timeout(patience, self.events.next()).await {
                Ok(None) => return None,
                Ok(Some(items)) => {
                    let pieces = self.take(items).await;
                    match pieces.is_empty() {
                        false => return Some(pieces),
                        true if begun.elapsed() >= heartbeat => return Some(vec![HEARTBEAT]),
                        true => {}
                    }
                }
                Err(_) => {
                    self.ended = self.watch.is_gone().await;
                    return (!self.ended).then_some(vec![HEARTBEAT]);
                }
            }
        }
        None
    }

    async fn take(&mut self, items: Vec<Result<Event>>) -> Vec<Bytes> {
        if !self.watch.admitted() {
            match self.watch.look().await {
                Ok(Sight::Visible) => {}
                Ok(Sight::Hidden) => {
                    self.ended = true;
                    return vec![denied()];
                }
                // The events belong to a thread of another tenant, or to one that was deleted.
                Ok(Sight::Missing) => return Vec::new(),
                Err(error) => return vec![self.fail(&error)],
            }
        }
        let mut events = Vec::with_capacity(items.len());
        let mut failure = None;
        for item in items {
            match item {
                Ok(event) if event.name.starts_with(NATIVE) => {}
                Ok(event) => events.push(event),
                Err(error) => failure = Some(self.fail(&error)),
            }
        }
        let mut pieces = frames(events.iter().filter(|event| self.modes.want(event)), true);
        pieces.extend(failure);
        pieces
    }

    fn fail(&mut self, error: &langopen_core::Error) -> Bytes {
        tracing::warn!(thread.id = %self.thread_id, error = %error, "a reader of a thread's events lost its position; its stream ends");
        self.ended = true;
        slow_reader()
    }
}
