//! Runs in flight: creating, claiming, extending, ending and cancelling them.
//!
//! The queue is the table of runs; a wake-up is only a hint. At most one run of a thread is running at any time. While
//! none is running, at most one is *ready*: it starts as soon as a worker claims it. The queue stores which run is
//! ready; it decides this when the runs of a thread change, not when it selects runs for a claim.
//!
//! # Order
//!
//! A pending run is either *delayed* or *in line*. It is delayed if its `available_at` was in the future when it was
//! created, or if a worker released it with a delay. The runs of a thread are ordered by the time at which they may
//! start, then by id:
//!
//! - A new run that is due at once comes after every run in line and after the running one. If necessary, the queue
//!   gives it a later time. So a line keeps the order in which runs were accepted, even if the clocks of processes
//!   differ or one is set back. Delayed runs do not count here.
//! - A call that adds a run to a thread, releases one or takes one out of flight makes the thread's next run ready,
//!   unless one is already ready or running. The next run is the first of those that are in line or due by the clock of
//!   that call.
//! - A claim of at least one run first puts every due run of every tenant in line, by its own clock. It then makes the
//!   next run of each of their threads ready in the same way. It may leave runs of a thread that another call is
//!   changing to the next claim.
//! - A run in line does not become delayed again. A ready run stays ready until it starts, ends or is removed. Neither
//!   a clock that is set back nor a run that enters the line ahead of it changes this.
//!
//! # Leases
//!
//! A claim gives a [`Lease`]: the run's id and the number of this attempt. Every later write of the run names its
//! lease. The write takes effect only while that attempt is the current one and running. Otherwise it fails with
//! [`ErrorKind::LeaseLost`](crate::ErrorKind::LeaseLost) and changes nothing.
//!
//! Leases are measured in elapsed time: setting a clock neither ends nor extends them.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::event_log::LogKey;
use crate::ids::{RunId, ThreadId};
use crate::json::RawJson;
use crate::model::{CancelRequest, NewRun, Run, RunError, ThreadState, ThreadStatus};
use crate::run_state::RunStatus;
use crate::tenant::{Scope, Tenant};

/// The right to execute a run, until it expires or a later attempt begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The run.
    pub run_id: RunId,
    /// Which claim of the run this is; 1 for the first.
    pub attempt: u32,
}

/// A run that was created.
#[derive(Debug, Clone)]
pub struct Enqueued {
    /// The run's row after the call.
    pub run: Run,
    /// Whether the thread had no checkpoints when the run was created.
    pub fresh_thread: bool,
    /// Pending runs that the new one superseded. They have ended, so the caller must close their streams.
    pub ended: Vec<RunId>,
}

/// A worker's request for runs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClaimRequest {
    /// The worker's name, for people.
    pub worker: String,
    /// The most runs to claim.
    pub max: usize,
    /// How long the lease of each run lasts without a heartbeat.
    pub lease: Duration,
    /// The tenants whose runs the worker can execute; `None` for all tenants.
    pub tenants: Option<Vec<Tenant>>,
}

setters! {
    ClaimRequest {
        with_tenants tenants: Option<Vec<Tenant>>,
    }
}

impl ClaimRequest {
    /// A request for the runs of all tenants.
    pub fn new(worker: impl Into<String>, max: usize, lease: Duration) -> Self {
        Self { worker: worker.into(), max, lease, tenants: None }
    }

    /// Whether the request includes runs of `tenant`.
    pub fn wants(&self, tenant: &Tenant) -> bool {
        self.tenants.as_ref().is_none_or(|tenants| tenants.contains(tenant))
    }
}

/// A claimed run.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The tenant of the run.
    pub tenant: Tenant,
    /// The run, now running.
    pub run: Run,
    /// Whether its thread has no checkpoints.
    pub fresh_thread: bool,
    /// A cancel that was requested before this claim, e.g. during an earlier attempt.
    pub cancel: Option<CancelRequest>,
    /// What earlier attempts recorded with [`Queue::record_losses`].
    pub losses: Losses,
}

/// How a run's earlier attempts were lost. [`AttemptLost`](crate::executor::AttemptLost) describes one loss.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Losses {
    /// How many attempts do not count towards the run's limit of attempts, because the run is not known to have caused
    /// their loss.
    pub excused: u32,
    /// How many processes of the executor the run ended, or may have ended.
    pub suspected: u32,
}

impl Claim {
    /// The lease that this claim gives.
    pub fn lease(&self) -> Lease {
        Lease { run_id: self.run.run_id, attempt: self.run.attempt }
    }
}

/// The answer to a claim.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    /// The runs that the caller now owns.
    pub runs: Vec<Claim>,
    /// When the earliest delayed run becomes claimable. Runs that the request excludes or that a limit blocks do not
    /// count.
    pub next_due: Option<Timestamp>,
}

/// The answer to a heartbeat for one lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heartbeat {
    /// The lease is extended. Carries the requested cancel, if any.
    Held(Option<CancelRequest>),
    /// The lease is lost: the worker must stop the run and write nothing more.
    Lost,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// A terminal status. A cancelled run ends as `Interrupted`, whatever its graph reported last.
    pub status: RunStatus,
    /// The thread's new status. If another run of the thread is in flight, the thread is `busy` instead.
    pub thread_status: ThreadStatus,
    /// The thread's new `error`.
    pub error: Option<RunError>,
    /// The thread's new `interrupts`: an object by task id.
    pub interrupts: RawJson,
    /// The thread's latest state and values; `None` leaves the stored ones unchanged.
    pub state: Option<ThreadState>,
    /// The values without a state, for a run without checkpoints. Ignored if `state` is set.
    pub values: Option<RawJson>,
    /// Whether to remove the run and every checkpoint that it made.
    pub rollback: bool,
}

/// The answer to the end of a run.
#[derive(Debug, Clone, Default)]
pub struct Finished {
    /// The thread's next run, if this end made it claimable.
    pub promoted: Option<RunId>,
}

/// The answer to a cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// The run was pending and has ended; the caller must close its stream.
    Ended,
    /// The run is running. Its worker receives the cancel and ends the run.
    Requested,
}

/// Which runs in flight to cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InFlight {
    /// Runs that have not started.
    Pending,
    /// Runs that have started.
    Running,
    /// Both.
    All,
}

impl InFlight {
    /// The statuses, pending first, because the end of a running run may start the next run of its thread.
    pub fn statuses(self) -> &'static [RunStatus] {
        match self {
            Self::Pending => &[RunStatus::Pending],
            Self::Running => &[RunStatus::Running],
            Self::All => &[RunStatus::Pending, RunStatus::Running],
        }
    }
}

/// The answer to a cancel of several runs.
#[derive(Debug, Clone, Default)]
pub struct CancelledMany {
    /// Runs that were pending and have ended; the caller must close their streams.
    pub ended: Vec<LogKey>,
    /// Runs that are running. Their workers receive the cancel and end them.
    pub requested: Vec<RunId>,
}

/// A cancel of a running run, for the run's worker. Deleting a running run also sends one, so that its worker stops at
/// once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelSignal {
    /// The run.
    pub run_id: RunId,
    /// How the run ends, and why.
    pub request: CancelRequest,
}

/// The queue's figures at one moment, over all tenants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Pending runs, including delayed ones.
    pub pending: u64,
    /// Running runs, including those with an expired lease that no worker has claimed again.
    pub running: u64,
    /// The longest wait of a pending run since it became due; `None` if no pending run is due.
    pub wait_max: Option<Duration>,
    /// The median of these waits; for an even number, the midpoint of the middle two.
    pub wait_median: Option<Duration>,
    /// The longest wait of the runs that wait only for a worker: no run of their thread is running or comes before
    /// them.
    pub unblocked_wait_max: Option<Duration>,
}

/// Creates, claims, ends and cancels runs. The [module](self) states the order of runs and the rules of leases.
#[async_trait]
pub trait Queue: Send + Sync + 'static {
    /// Creates a run.
    ///
    /// - Atomicity: one step creates the run, applies its multitask strategy to the other runs of the thread, and
    ///   changes the thread's row (metadata, config, status `busy`).
    /// - Order: the runs of a thread start in [order](self#order). A run with a future `available_at` blocks no other
    ///   run, but counts as in flight.
    /// - `Reject` fails while another run is in flight.
    /// - `Interrupt` ends pending runs as interrupted and requests the cancel of the running one.
    /// - `Rollback` removes pending runs with their checkpoints and requests the rollback of the running one.
    /// - In all cases the new run starts only after the running one has ended.
    /// - A run that fires a cron also moves the cron on, in the same step. So of several concurrent calls, only one
    ///   fires it.
    ///
    /// # Errors
    /// - `NotFound`: the thread does not exist and the request may not create it.
    /// - `Conflict`: the strategy rejects the run, or the cron is not due at the given moment.
    /// - `AlreadyExists`: the run's id is taken, or the request may create the thread and a thread outside of the scope
    ///   has this id.
    /// - `LimitReached`: the tenant's deployment would have more runs in flight than its
    ///   [`max_runs_in_flight`](crate::model::DeploymentLimits::max_runs_in_flight). The limit also holds under
    ///   concurrent calls. Pending runs that the new one would end do not count.
    async fn enqueue(&self, scope: &Scope, new: NewRun) -> Result<Enqueued>;

    /// Claims up to `max` ready runs of the requested tenants.
    ///
    /// - Expired leases: a run with an expired lease counts as ready and comes first, because its worker is gone.
    /// - Fairness: the next run belongs to the tenant with the fewest running runs, including those of this call. Among
    ///   equal tenants, the tenant with the oldest ready run comes next. Within a tenant, the oldest run comes first.
    ///   So one tenant's long queue does not delay another tenant.
    /// - Limits: a tenant never has more running runs than the
    ///   [`max_running_runs`](crate::model::DeploymentLimits::max_running_runs) of its deployment, also under
    ///   concurrent claims. A run with an expired lease already counts as running, so no limit blocks its next claim.
    /// - The order of the answer has no meaning.
    async fn claim(&self, request: &ClaimRequest) -> Result<Claims>;

    /// Extends leases to `lease` from now. The answers have the order of `leases`.
    async fn heartbeat(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Heartbeat>>;

    /// Ends a run. One step sets its status, updates the thread's row and state, removes the thread of a temporary run,
    /// and makes the thread's next run ready.
    ///
    /// # Errors
    /// - `LeaseLost`: the attempt is not the current one, or is no longer running.
    /// - `Invalid`: the outcome's status is not terminal.
    async fn finish(&self, lease: Lease, outcome: Outcome) -> Result<Finished>;

    /// Releases a run: it becomes pending again and is claimable after `delay`. Its attempt number stays.
    ///
    /// # Errors
    /// - `LeaseLost`: the attempt is not the current one, or is no longer running.
    async fn release(&self, lease: Lease, delay: Duration) -> Result<()>;

    /// Replaces the record of how the run's attempts were lost; later claims of the run return it. The record outlives
    /// the worker, so the next worker knows whether the run is a suspect.
    ///
    /// # Errors
    /// - `LeaseLost`: the attempt is not the current one, or is no longer running.
    async fn record_losses(&self, lease: Lease, losses: Losses) -> Result<()>;

    /// Cancels a run. A pending run ends at once; a running run ends through its worker. A later request replaces an
    /// earlier one, but a rollback stays a rollback.
    ///
    /// # Errors
    /// - `NotFound`: the run does not exist, is on another thread, or has ended.
    async fn cancel(
        &self,
        scope: &Scope,
        thread_id: ThreadId,
        run_id: RunId,
        request: CancelRequest,
    ) -> Result<Cancelled>;

    /// Cancels all runs in flight of the tenant whose threads pass the scope's filter, each as [`Queue::cancel`] does.
    /// The call is one step, so no cancelled run starts because another one ended.
    async fn cancel_in_flight(&self, scope: &Scope, which: InFlight, request: CancelRequest) -> Result<CancelledMany>;

    /// Counts the runs in flight of all tenants.
    ///
    /// - All figures are of the same moment.
    /// - The call changes nothing and blocks no other call.
    /// - It may read every run in flight, but never the runs that have ended.
    async fn stats(&self) -> Result<QueueStats>;

    /// Notifies each time a run may have become claimable. This includes the end of a run whose deployment limits its
    /// running runs, and new limits of a deployment. Hints may be lost or spurious, so callers must also poll, at least
    /// once a second.
    ///
    /// By default it never notifies, so runs start at the next poll.
    fn wakes(&self) -> Arc<tokio::sync::Notify> {
        Arc::default()
    }

    /// Receives each cancel of a running run. A cancel may be lost here; the next heartbeat also carries it.
    ///
    /// By default it receives nothing, so runs stop at the next heartbeat.
    fn cancels(&self) -> broadcast::Receiver<CancelSignal> {
        static NEVER: LazyLock<broadcast::Sender<CancelSignal>> = LazyLock::new(|| broadcast::Sender::new(1));
        NEVER.subscribe()
    }
}
