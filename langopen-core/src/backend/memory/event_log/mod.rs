//! The event log in memory, and the part of it that delivers events to live readers, which other backends use too.

mod hub;
mod live;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;

use crate::clock::{Clock, SystemClock};
use crate::error::Result;
use crate::event_log::{EventLog, EventStream, NewEvent, ReadFrom};
use crate::ids::RunId;

pub(crate) use hub::Hub;
#[cfg(feature = "sqlite")]
pub(crate) use hub::place;
#[cfg(feature = "sqlite")]
pub(crate) use live::LiveEvents;

/// How long an ended log is kept, if nobody says otherwise.
pub(crate) const RETENTION: Duration = Duration::from_secs(120);

/// [`EventLog`] in memory. Clones share everything.
///
/// Events of a resumable run are kept until some time after its end; those of other runs go to who reads just then.
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
    async fn append(&self, run_id: RunId, resumable: bool, events: Vec<NewEvent>) -> Result<()> {
        self.hub.append(run_id, resumable, events, self.clock.now());
        Ok(())
    }

    async fn end(&self, run_id: RunId) -> Result<()> {
        self.hub.end(run_id, self.clock.now());
        Ok(())
    }

    async fn read(&self, run_id: RunId, from: ReadFrom) -> Result<EventStream> {
        let (kept, live) = self.hub.subscribe(run_id, from);
        Ok(futures::stream::iter(kept.into_iter().map(Ok)).chain(live).boxed())
    }

    async fn sweep(&self) -> Result<u64> {
        Ok(self.hub.sweep(self.clock.now(), self.retention))
    }
}
