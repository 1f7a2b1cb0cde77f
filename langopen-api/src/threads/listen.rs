//! Listening to a thread for as long as the client wishes.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::ReadyChunks;
use futures::{Stream, StreamExt};
use langopen_core::event_log::{Event, EventStream, NATIVE};
use langopen_core::{Result, Scope, ThreadId};
use tokio::time::{Instant, timeout};

use super::sight::{Sight, Watch};
use super::stream::Modes;
use crate::server::App;
use crate::sse::{HEARTBEAT, frame, frames};

/// How many events that wait already are taken together.
const BATCH: usize = 64;

/// The `error` event for a caller whom the thread is hidden from.
pub(super) fn denied() -> Bytes {
    frame(b"error", br#"{"error":"HTTPException","message":"404: Thread not found"}"#)
}

/// The `error` event of a stream that would have a hole if it went on.
fn slow_reader() -> Bytes {
    frame(
        b"error",
        br#"{"error":"SlowReader","message":"this stream lost its place, most likely because it was read too slowly; open it again with Last-Event-ID for the events that are kept"}"#,
    )
}

/// One client that listens to a thread.
pub(super) struct Listen {
    thread_id: ThreadId,
    watch: Watch,
    heartbeat: Duration,
    modes: Modes,
    events: ReadyChunks<EventStream>,
    ended: bool,
}

impl Listen {
    pub(super) fn new(app: &App, scope: Scope, thread_id: ThreadId, modes: Modes, events: EventStream) -> Self {
        let events = events.ready_chunks(BATCH);
        let (watch, heartbeat) = (Watch::new(app, scope, thread_id), app.settings.heartbeat);
        Self { thread_id, watch, heartbeat, modes, events, ended: false }
    }

    /// Looks whether the caller sees the thread.
    pub(super) async fn look(&mut self) -> Result<Sight> {
        self.watch.look().await
    }

    /// What is sent to the client.
    pub(super) fn stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
        futures::stream::unfold(self, |mut this| async move { this.next().await.map(|bytes| (Ok(bytes), this)) })
    }

    async fn next(&mut self) -> Option<Bytes> {
        let heartbeat = self.heartbeat;
        let begun = Instant::now();
        while !self.ended {
            // Events that the client does not want are silence to it.
            let patience = heartbeat.saturating_sub(begun.elapsed());
            match timeout(patience, self.events.next()).await {
                Ok(None) => return None,
                Ok(Some(items)) => {
                    let bytes = self.take(items).await;
                    match bytes.is_empty() {
                        false => return Some(bytes),
                        true if begun.elapsed() >= heartbeat => return Some(HEARTBEAT),
                        true => {}
                    }
                }
                Err(_) => {
                    self.ended = self.watch.is_gone().await;
                    return (!self.ended).then_some(HEARTBEAT);
                }
            }
        }
        None
    }

    async fn take(&mut self, items: Vec<Result<Event>>) -> Bytes {
        if !self.watch.admitted() {
            match self.watch.look().await {
                Ok(Sight::Visible) => {}
                Ok(Sight::Hidden) => {
                    self.ended = true;
                    return denied();
                }
                // Somebody else's thread, or what is left of one that is gone.
                Ok(Sight::Missing) => return Bytes::new(),
                Err(error) => return self.fail(&error),
            }
        }
        let mut events = Vec::with_capacity(items.len());
        let mut failure = Bytes::new();
        for item in items {
            match item {
                Ok(event) if event.name.starts_with(NATIVE) => {}
                Ok(event) => events.push(event),
                Err(error) => failure = self.fail(&error),
            }
        }
        let told = frames(events.iter().filter(|event| self.modes.want(event)), true);
        if failure.is_empty() { told } else { [told, failure].concat().into() }
    }

    fn fail(&mut self, error: &langopen_core::Error) -> Bytes {
        tracing::warn!(thread.id = %self.thread_id, error = %error, "a reader of a thread's events lost its place");
        self.ended = true;
        slow_reader()
    }
}
