//! The parts of a backend under test.

use std::sync::Arc;
use std::time::Duration;

use langopen_core::clock::ManualClock;
use langopen_core::event_log::EventLog;
use langopen_core::outbox::Outbox;
use langopen_core::queue::Queue;
use langopen_core::storage::{
    ApiKeys, Assistants, Checkpoints, Crons, Deployments, Runs, Storage, StoreItems, Threads,
};

/// What a case needs from a backend: a trait, or a capability that a backend may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Need {
    /// [`Assistants`].
    Assistants,
    /// [`Threads`].
    Threads,
    /// [`Runs`].
    Runs,
    /// [`Checkpoints`].
    Checkpoints,
    /// [`StoreItems`].
    StoreItems,
    /// [`Crons`].
    Crons,
    /// [`Deployments`].
    Deployments,
    /// [`ApiKeys`].
    ApiKeys,
    /// [`Queue`].
    Queue,
    /// [`Outbox`].
    Outbox,
    /// [`EventLog`].
    EventLog,
    /// [`Capabilities::similarity`].
    Similarity,
    /// [`Capabilities::retention`].
    Retention,
    /// [`Capabilities::hints`].
    Hints,
}

/// What a backend can do beyond the traits' minimum. By default nothing.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Capabilities {
    /// Whether searches of the store rank items by their vectors.
    pub similarity: bool,
    /// How long the event log retains the events of a resumable run after its end. `None` if the log does not sweep
    /// them by the test's clock.
    pub retention: Option<Duration>,
    /// Whether the backend sends every hint (wake-ups and cancels) while nothing fails. The traits do not require it.
    pub hints: bool,
}

impl Capabilities {
    /// Sets [`Capabilities::similarity`].
    #[must_use]
    pub fn with_similarity(mut self) -> Self {
        self.similarity = true;
        self
    }

    /// Sets [`Capabilities::hints`].
    #[must_use]
    pub fn with_hints(mut self) -> Self {
        self.hints = true;
        self
    }

    /// Sets [`Capabilities::retention`].
    #[must_use]
    pub fn with_retention(mut self, retention: Duration) -> Self {
        self.retention = Some(retention);
        self
    }
}

/// The parts of one backend: empty, over the same rows, and with a clock that the test controls.
#[derive(Clone)]
pub struct Fixture {
    /// The clock of all parts.
    pub clock: Arc<ManualClock>,
    pub(super) capabilities: Capabilities,
    assistants: Option<Arc<dyn Assistants>>,
    threads: Option<Arc<dyn Threads>>,
    runs: Option<Arc<dyn Runs>>,
    checkpoints: Option<Arc<dyn Checkpoints>>,
    items: Option<Arc<dyn StoreItems>>,
    crons: Option<Arc<dyn Crons>>,
    deployments: Option<Arc<dyn Deployments>>,
    api_keys: Option<Arc<dyn ApiKeys>>,
    queue: Option<Arc<dyn Queue>>,
    outbox: Option<Arc<dyn Outbox>>,
    event_log: Option<Arc<dyn EventLog>>,
}

/// Makes a setter and a getter of each part.
macro_rules! parts {
    ($($part:ident: $trait:ident, $with:ident;)+) => {
        impl Fixture {
            /// No parts yet.
            pub fn new(clock: Arc<ManualClock>) -> Self {
                Self { clock, capabilities: Capabilities::default(), $($part: None),+ }
            }

            $(
                #[doc = concat!("Adds the [`", stringify!($trait), "`].")]
                #[must_use]
                pub fn $with(mut self, part: Arc<dyn $trait>) -> Self {
                    self.$part = Some(part);
                    self
                }

                pub(super) fn $part(&self) -> &Arc<dyn $trait> {
                    let missing = concat!("the case must name ", stringify!($trait), " as a need");
                    self.$part.as_ref().expect(missing)
                }
            )+

            /// Whether the backend has what a case needs.
            pub fn has(&self, need: Need) -> bool {
                match need {
                    $(Need::$trait => self.$part.is_some(),)+
                    Need::Similarity => self.capabilities.similarity,
                    Need::Hints => self.capabilities.hints,
                    Need::Retention => self.capabilities.retention.is_some(),
                }
            }
        }
    };
}

parts! {
    assistants: Assistants, with_assistants;
    threads: Threads, with_threads;
    runs: Runs, with_runs;
    checkpoints: Checkpoints, with_checkpoints;
    items: StoreItems, with_store_items;
    crons: Crons, with_crons;
    deployments: Deployments, with_deployments;
    api_keys: ApiKeys, with_api_keys;
    queue: Queue, with_queue;
    outbox: Outbox, with_outbox;
    event_log: EventLog, with_event_log;
}

impl Fixture {
    /// Adds the six resources of a storage.
    #[must_use]
    pub fn with_storage(self, storage: Arc<dyn Storage>) -> Self {
        self.with_assistants(storage.clone())
            .with_threads(storage.clone())
            .with_runs(storage.clone())
            .with_checkpoints(storage.clone())
            .with_store_items(storage.clone())
            .with_crons(storage)
    }

    /// Adds a database that is everything except the event log.
    #[must_use]
    pub fn with_database<D>(self, database: Arc<D>) -> Self
    where
        D: Storage + Deployments + ApiKeys + Queue + Outbox,
    {
        self.with_storage(database.clone())
            .with_deployments(database.clone())
            .with_api_keys(database.clone())
            .with_queue(database.clone())
            .with_outbox(database)
    }

    /// Replaces the capabilities. [`run`](super::run) and [`run_all`](super::run_all) do so themselves.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: &Capabilities) -> Self {
        self.capabilities = *capabilities;
        self
    }

    /// The needs that the backend does not meet.
    pub fn lacks(&self, needs: &[Need]) -> Vec<Need> {
        needs.iter().copied().filter(|need| !self.has(*need)).collect()
    }

    pub(super) fn retention(&self) -> Duration {
        self.capabilities.retention.expect("the case must name Retention as a need")
    }
}
