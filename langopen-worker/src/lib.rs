//! The run loop of LangOpen, and the dispatcher of its webhooks.
//!
//! A [`Worker`] claims runs from the [`Queue`] of a [`Backend`], drives an [`Executor`], appends the events of runs to
//! the [`EventLog`], and commits how runs end. [`WorkerSettings`] holds its limits and intervals. Any number of workers
//! may share one queue.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use langopen_core::{Backend, Executor};
//! use langopen_worker::{Worker, WorkerSettings};
//! use tokio_util::sync::CancellationToken;
//!
//! async fn serve(backend: Backend, executor: Arc<dyn Executor>, stop: CancellationToken) {
//!     let settings = WorkerSettings::default().with_concurrency(20);
//!     // Returns once `stop` is cancelled and no run is left.
//!     Worker::new(backend, executor, settings).run(stop).await;
//! }
//! ```
//!
//! The worker, never user code, extends a run's lease, so a graph that blocks does not lose it. The worker commits the
//! terminal status before it ends the run's stream.
//!
//! A worker also fires crons and sweeps expired event logs, threads and store items. Several workers may do so: each
//! due time of a cron fires once.
//!
//! [`WebhookDispatcher`] is a second, independent loop: it sends the deliveries of the
//! [`Outbox`](langopen_core::Outbox). One process may serve many deployments; [`DeploymentRules`] gives the settings of
//! each.

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
mod rounds;
mod rules;
mod run;
mod settings;
mod sweep;
mod webhooks;

use std::sync::Arc;

use langopen_core::run_service::RunService;
use langopen_core::{Backend, Clock, EventLog, Executor, IdSource, Queue, Storage, SystemIds};
use tokio_util::sync::CancellationToken;
use tracing::info;

pub use active::Slots;
pub use metrics::describe_metrics;
pub use rules::DeploymentRules;
pub use settings::WorkerSettings;
pub use webhooks::{InvalidHeader, WebhookDispatcher, WebhookHeaders, WebhookSettings};

/// The parts that a worker uses.
#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) events: Arc<dyn EventLog>,
    pub(crate) executor: Arc<dyn Executor>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) runs: RunService,
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
    /// A worker that is not running yet. It executes the backend's runs with `executor`.
    pub fn new(backend: Backend, executor: Arc<dyn Executor>, settings: WorkerSettings) -> Self {
        let runs = backend.runs();
        let Backend { storage, queue, events, clock, .. } = backend;
        let services = Services { queue, storage, events, executor, clock, runs };
        let active = Arc::new(active::Active::new(settings.concurrency));
        Self { services, settings: Arc::new(settings), active, ids: Arc::new(SystemIds), rules: None }
    }

    /// Uses `ids` for the ids of runs and threads that crons create.
    #[must_use]
    pub fn with_ids(mut self, ids: Arc<dyn IdSource>) -> Self {
        self.ids = ids;
        self
    }

    /// Applies the rules of each run's deployment.
    #[must_use]
    pub fn with_rules(mut self, rules: Arc<dyn DeploymentRules>) -> Self {
        self.rules = Some(rules);
        self
    }

    /// The number of runs that the worker may execute, and the number that it executes now.
    pub fn slots(&self) -> Slots {
        Slots::of(&self.active)
    }

    /// Works until `stop`. Then it fires no more crons, claims no more runs, lets runs in flight end within the grace
    /// period, hands the remaining ones back, and returns.
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
            info!(runs = left, "runs did not end within the grace period; the worker handed them back");
        }
        background.cancel();
        // These tasks end only through their token. If one panicked, the panic was already reported.
        let _ = tokio::join!(heartbeat, sweep);
        if let Some(scheduler) = scheduler {
            let _ = scheduler.await;
        }
    }
}
