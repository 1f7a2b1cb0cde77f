use std::fmt;
use std::sync::Arc;

use crate::clock::{Clock, SystemClock};
use crate::event_log::EventLog;
use crate::outbox::Outbox;
use crate::queue::Queue;
use crate::run_service::RunService;
use crate::storage::Storage;

/// The parts of a backend that servers, workers and services use together. Clones share the parts.
///
/// ```
/// use std::sync::Arc;
///
/// use langopen_core::{Backend, EventLog, Outbox, Queue, Storage};
///
/// /// A backend of your own database and log.
/// fn backend<D: Storage + Queue + Outbox>(database: D, events: impl EventLog) -> Backend {
///     Backend::new(Arc::new(database), Arc::new(events))
/// }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Backend {
    /// The data of the tenants.
    pub storage: Arc<dyn Storage>,
    /// The runs in flight, in the same tables.
    pub queue: Arc<dyn Queue>,
    /// The events of these runs.
    pub events: Arc<dyn EventLog>,
    /// The webhooks that the queue writes; `None` if the queue writes none.
    pub outbox: Option<Arc<dyn Outbox>>,
    /// The clock that the queue reads. A worker compares it with the due times of runs and crons and with expiry times.
    /// On Postgres it is the database's clock.
    pub clock: Arc<dyn Clock>,
}

impl Backend {
    /// A database that is storage, queue and outbox, and its event log. The clock is the system's.
    pub fn new<D: Storage + Queue + Outbox>(database: Arc<D>, events: Arc<dyn EventLog>) -> Self {
        Self::of(database.clone(), database.clone(), events).with_outbox(database)
    }

    /// A backend without webhooks. The clock is the system's.
    pub fn of(storage: Arc<dyn Storage>, queue: Arc<dyn Queue>, events: Arc<dyn EventLog>) -> Self {
        Self { storage, queue, events, outbox: None, clock: Arc::new(SystemClock) }
    }

    /// Adds the outbox.
    #[must_use]
    pub fn with_outbox(mut self, outbox: Arc<dyn Outbox>) -> Self {
        self.outbox = Some(outbox);
        self
    }

    /// Replaces the clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The run service over these parts.
    pub fn runs(&self) -> RunService {
        RunService::new(self)
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").field("has_outbox", &self.outbox.is_some()).finish_non_exhaustive()
    }
}
