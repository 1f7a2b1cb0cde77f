//! Reads a thread's events for a caller, as long as the caller sees the thread.
//!
//! The log of a thread does not record its owner, and a client may subscribe before the thread exists. So the reader
//! returns no events until the caller has seen the thread's row once. After a long silence it reads the row again,
//! because not only requests delete threads.

use std::fmt;
use std::time::Duration;

use futures::StreamExt;
use tokio::time::Instant;

use super::RunService;
use super::batches::Batches;
use crate::error::{Error, Result};
use crate::event_log::{Event, ReadFrom};
use crate::ids::ThreadId;
use crate::tenant::Scope;

/// The minimum time between two reads of the row during silence.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// A caller's view of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// The caller sees the thread.
    Visible,
    /// The thread exists, but the caller's filter hides it.
    Hidden,
    /// The thread does not exist.
    Missing,
}

/// The result of one read of a [`ThreadReader`].
#[derive(Debug)]
pub enum ThreadRead {
    /// Events, in order; there may be none.
    Events(Vec<Event>),
    /// The caller's filter hides the thread. Nothing follows.
    Hidden,
    /// The reader lost its position, most likely because it read too slowly. Nothing follows.
    Lost,
}

/// A reader of one thread, from [`RunService::read_thread`].
pub struct ThreadReader {
    service: RunService,
    scope: Scope,
    thread_id: ThreadId,
    events: Batches,
    /// Items of the log that the reader has not returned yet.
    unread: Vec<Result<Event>>,
    /// Whether the caller has seen the thread.
    seen: bool,
    looked: Instant,
    ended: bool,
}

impl ThreadReader {
    pub(super) async fn open(
        service: &RunService,
        scope: Scope,
        thread_id: ThreadId,
        from: ReadFrom,
    ) -> Result<(Self, Visibility)> {
        // Open the log before reading the row, so that the reader misses no event in between.
        let events = service.events.read_thread(thread_id, from).await?;
        let mut reader = Self {
            service: service.clone(),
            scope,
            thread_id,
            events: Batches::new(&service.shared, thread_id, events),
            unread: Vec::new(),
            seen: false,
            looked: Instant::now(),
            ended: false,
        };
        let visibility = reader.look().await?;
        Ok((reader, visibility))
    }

    /// The next result; `None` at the end of the log, which is the thread's deletion. It is cancel-safe.
    pub async fn next(&mut self) -> Option<ThreadRead> {
        if self.ended {
            return None;
        }
        if self.unread.is_empty() {
            self.unread = self.events.next().await?;
        }
        if !self.seen {
            match self.look().await {
                Ok(Visibility::Visible) => {}
                Ok(Visibility::Hidden) => {
                    self.ended = true;
                    return Some(ThreadRead::Hidden);
                }
                // The log may belong to another tenant's thread, or to a deleted one.
                Ok(Visibility::Missing) => {
                    self.unread.clear();
                    return Some(ThreadRead::Events(Vec::new()));
                }
                Err(error) => return Some(self.lost(&error)),
            }
        }
        let mut events = Vec::with_capacity(self.unread.len());
        let mut items = std::mem::take(&mut self.unread).into_iter();
        while let Some(item) = items.next() {
            match item {
                Ok(event) => events.push(event),
                Err(error) if events.is_empty() => return Some(self.lost(&error)),
                Err(error) => {
                    self.unread = std::iter::once(Err(error)).chain(items).collect();
                    break;
                }
            }
        }
        Some(ThreadRead::Events(events))
    }

    /// Whether the caller no longer sees a thread that it has seen. Call it after a silence. It reads the row only if
    /// the last read is some time ago.
    pub async fn is_gone(&mut self) -> bool {
        if !self.seen || self.looked.elapsed() < LOOK_AGAIN {
            return false;
        }
        match self.look().await {
            Ok(visibility) => visibility != Visibility::Visible,
            Err(error) => {
                tracing::warn!(thread.id = %self.thread_id, error = %error, "a thread's row cannot be read");
                false
            }
        }
    }

    async fn look(&mut self) -> Result<Visibility> {
        self.looked = Instant::now();
        let visibility = self.service.visibility(&self.scope, self.thread_id).await?;
        self.seen |= visibility == Visibility::Visible;
        Ok(visibility)
    }

    fn lost(&mut self, error: &Error) -> ThreadRead {
        tracing::warn!(thread.id = %self.thread_id, error = %error, "a reader of a thread's events lost its position; its stream ends");
        self.ended = true;
        ThreadRead::Lost
    }
}

impl fmt::Debug for ThreadReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadReader").field("thread_id", &self.thread_id).finish_non_exhaustive()
    }
}
