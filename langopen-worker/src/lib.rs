//! The run loop: it claims runs, drives an [`Executor`](langopen_core::Executor), appends the events of runs to the
//! [`EventLog`](langopen_core::EventLog), ends runs in the [`Queue`](langopen_core::Queue), and hands them back in time
//! when it has to stop.
//!
//! - [`Worker`] is the loop, with the scheduler of crons; [`Services`] holds the parts that it uses; [`WorkerSettings`]
//!   holds its figures.
//! - [`WebhookDispatcher`] is another loop: it sends the deliveries of the [`Outbox`](langopen_core::Outbox).
//! - A run's lease is extended by the worker, never by user code, so a graph that blocks cannot lose it.
//! - The terminal status is committed before the run's stream ends.

#![forbid(unsafe_code)]

mod active;
mod claim;
mod clock_watch;
mod conclude;
mod crons;
mod heartbeat;
mod held;
mod losses;
mod metrics;
mod outcome;
mod rules;
mod run;
mod settings;
mod sweep;
mod webhooks;

use std::sync::Arc;

use langopen_core::run_service::RunService;
use langopen_core::{Clock, EventLog, Executor, IdSource, Queue, Storage, SystemIds};
use tokio_util::sync::CancellationToken;
use tracing::info;

pub use active::Slots;
pub use metrics::describe_metrics;
pub use rules::DeploymentRules;
pub use settings::WorkerSettings;
pub use webhooks::{InvalidHeader, WebhookDispatcher, WebhookHeaders, WebhookSettings};

/// The parts that a worker uses.
#[derive(Clone)]
pub struct Services {
    /// Where runs come from and go to.
    pub queue: Arc<dyn Queue>,
    /// The storage that runs reach through their executor.
    pub storage: Arc<dyn Storage>,
    /// Where runs' events go.
    pub events: Arc<dyn EventLog>,
    /// The executor of the runs.
    pub executor: Arc<dyn Executor>,
    /// The clock that the queue reads: the worker compares it with the times of runs, crons and expiries. On Postgres
    /// it is the database's, `Postgres::clock`.
    pub clock: Arc<dyn Clock>,
}

impl Services {
    /// The run service over these parts.
    pub(crate) fn runs(&self) -> RunService {
        RunService::new(self.storage.clone(), self.queue.clone(), self.events.clone())
    }
}

/// The run loop.
pub struct Worker {
    services: Services,
    settings: Arc<WorkerSettings>,
    active: Arc<active::Active>,
    ids: Arc<dyn IdSource>,
    rules: Option<Arc<dyn DeploymentRules>>,
}

impl Worker {
    /// A worker that is not running yet.
    pub fn new(services: Services, settings: WorkerSettings) -> Self {
        let active = Arc::new(active::Active::new(settings.concurrency));
        Self { services, settings: Arc::new(settings), active, ids: Arc::new(SystemIds), rules: None }
    }

    /// Takes the ids of crons' runs from `ids`.
    #[must_use]
    pub fn with_ids(mut self, ids: Arc<dyn IdSource>) -> Self {
        self.ids = ids;
        self
    }

    /// Works by the rules of the deployment that each run is of.
    #[must_use]
    pub fn with_rules(mut self, rules: Arc<dyn DeploymentRules>) -> Self {
        self.rules = Some(rules);
        self
    }

    /// The number of runs that it may execute, and that it executes at any moment.
    pub fn slots(&self) -> Slots {
        Slots::of(&self.active)
    }

    /// Works until `stop`; then fires no more crons, claims nothing more, lets runs in flight end within the grace
    /// period, hands the rest back, and returns.
    pub async fn run(self, stop: CancellationToken) {
        let active = Arc::clone(&self.active);
        let background = CancellationToken::new();
        let heartbeat = tokio::spawn(heartbeat::beat(
            Arc::clone(&active),
            self.services.queue.clone(),
            self.settings.clone(),
            background.clone(),
        ));
        let sweep = tokio::spawn(sweep::sweep(self.services.clone(), (*self.settings).clone(), background.clone()));
        let scheduler = self.settings.crons.then(|| {
            let scheduler = crons::Scheduler {
                services: self.services.clone(),
                ids: self.ids.clone(),
                thread_ttl: self.settings.thread_ttl,
                rules: self.rules.clone(),
            };
            tokio::spawn(scheduler.run(stop.clone()))
        });
        info!(worker = %self.settings.name, concurrency = self.settings.concurrency, "worker started");
        claim::claim_until(&self.services, &self.settings, &active, &stop).await;
        let left = active.drain(self.settings.grace).await;
        if left > 0 {
            info!(runs = left, "runs did not end within the grace period; they are handed back");
        }
        background.cancel();
        // They only end by their tokens; a panic in one was reported by its task.
        let _ = tokio::join!(heartbeat, sweep);
        if let Some(scheduler) = scheduler {
            let _ = scheduler.await;
        }
    }
}
