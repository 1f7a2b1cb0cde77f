//! The event log in memory.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use langopen_core::clock::{Clock, SystemClock};
use langopen_core::error::Result;
use langopen_core::event_log::{EventId, EventLog, EventStream, LogKey, NewEvent, ReadFrom, late};
use langopen_core::ids::ThreadId;

use crate::live_log::{Hub, RETENTION, Refused};

/// [`EventLog`] in memory. Clones share everything.
///
/// Events of a resumable run are kept until some time after its end, those of a thread itself for the same time; those
/// of other runs go to who reads just then.
#[derive(Clone)]
pub struct MemoryEventLog {
    hub: Arc<Hub>,
    clock: Arc<dyn Clock>,
    retention: Duration,
}

impl MemoryEventLog {
    /// Empty, on the machine's clock; ended logs are kept for two minutes.
    pub fn new() -> Self {
        Self { hub: Arc::new(Hub::new(true)), clock: Arc::new(SystemClock), retention: RETENTION }
    }

    /// Reads time from `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Keeps an ended log this long.
    #[must_use]
    pub fn with_retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }
}

impl Default for MemoryEventLog {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryEventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryEventLog").field("retention", &self.retention).finish_non_exhaustive()
    }
}

#[async_trait]
impl EventLog for MemoryEventLog {
    async fn append(&self, log: LogKey, attempt: u32, resumable: bool, events: Vec<NewEvent>) -> Result<()> {
        match self.hub.append(log, attempt, resumable, events, self.clock.now()) {
            Err(Refused::Late) => Err(late(log.run_id, attempt)),
            // Nothing here is ever in the middle of a write, so it is always this one's turn.
            Ok(()) | Err(Refused::NotItsTurn(_)) => Ok(()),
        }
    }

    async fn append_to_thread(&self, thread_id: ThreadId, events: Vec<NewEvent>) -> Result<()> {
        self.hub.append_to_thread(thread_id, events, self.clock.now());
        Ok(())
    }

    async fn end(&self, log: LogKey) -> Result<()> {
        self.hub.end(log, self.clock.now());
        Ok(())
    }

    async fn read(&self, log: LogKey, from: ReadFrom) -> Result<EventStream> {
        let (kept, live) = self.hub.subscribe(log, from);
        Ok(futures::stream::iter(kept.into_iter().map(Ok)).chain(live).boxed())
    }

    async fn read_thread(&self, thread_id: ThreadId, from: ReadFrom) -> Result<EventStream> {
        let (kept, _, live) = self.hub.subscribe_thread(thread_id, from, EventId::ZERO);
        Ok(futures::stream::iter(kept.into_iter().map(Ok)).chain(live).boxed())
    }

    async fn remove_threads(&self, threads: &[ThreadId]) -> Result<()> {
        self.hub.remove_threads(threads);
        Ok(())
    }

    async fn sweep(&self) -> Result<u64> {
        Ok(self.hub.sweep(self.clock.now(), self.retention))
    }
}
