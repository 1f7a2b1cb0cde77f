//! Listening to a thread for as long as the client wishes.
//!
//! The log of a thread does not know whose the thread is, and a client may listen before the thread is made. So nothing is passed on until the caller was seen
//! to see the thread's row; and when it has long been quiet, the row is looked at again, for threads go in more ways than by a request.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::ReadyChunks;
use futures::{Stream, StreamExt};
use langopen_core::event_log::{Event, EventStream};
use langopen_core::{Result, Scope, ThreadId};
use tokio::time::{Instant, timeout};

use super::stream::Modes;
use crate::server::App;
use crate::sse::{HEARTBEAT, frame, frames};

/// How many events that wait already are taken together.
const BATCH: usize = 64;

/// How long it is quiet before the row is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

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

/// What the caller sees of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// Its row.
    Visible,
    /// Nothing, though it is there: the caller's filter does not let it pass.
    Hidden,
    /// There is none.
    Missing,
}

/// One client that listens to a thread.
pub(super) struct Listen {
    app: App,
    scope: Scope,
    thread_id: ThreadId,
    modes: Modes,
    events: ReadyChunks<EventStream>,
    /// Whether the caller was seen to see the thread.
    admitted: bool,
    looked: Instant,
    ended: bool,
}

impl Listen {
    pub(super) fn new(app: &App, scope: Scope, thread_id: ThreadId, modes: Modes, events: EventStream) -> Self {
        let events = events.ready_chunks(BATCH);
        let (app, looked) = (app.clone(), Instant::now());
        Self { app, scope, thread_id, modes, events, admitted: false, looked, ended: false }
    }

    /// Looks whether the caller sees the thread.
    pub(super) async fn look(&mut self) -> Result<Sight> {
        self.looked = Instant::now();
        let storage = &self.app.storage;
        if storage.thread(&self.scope, self.thread_id).await?.is_some() {
            self.admitted = true;
            return Ok(Sight::Visible);
        }
        let everything = Scope::tenant(self.scope.tenant.clone());
        if self.scope.filter.is_some() && storage.thread(&everything, self.thread_id).await?.is_some() {
            return Ok(Sight::Hidden);
        }
        Ok(Sight::Missing)
    }

    /// What is sent to the client.
    pub(super) fn stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
        futures::stream::unfold(self, |mut this| async move { this.next().await.map(|bytes| (Ok(bytes), this)) })
    }

    async fn next(&mut self) -> Option<Bytes> {
        let heartbeat = self.app.settings.heartbeat;
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
                    self.ended = self.is_gone().await;
                    return (!self.ended).then_some(HEARTBEAT);
                }
            }
        }
        None
    }

    async fn take(&mut self, items: Vec<Result<Event>>) -> Bytes {
        if !self.admitted {
            match self.look().await {
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

    /// Whether the thread that was listened to is no more.
    async fn is_gone(&mut self) -> bool {
        if !self.admitted || self.looked.elapsed() < LOOK_AGAIN {
            return false;
        }
        match self.look().await {
            Ok(sight) => sight != Sight::Visible,
            Err(error) => {
                tracing::warn!(thread.id = %self.thread_id, error = %error, "a thread's row cannot be read");
                false
            }
        }
    }
}
