//! Runs in flight: creating, claiming, keeping, ending and cancelling them.
//!
//! The queue is the table of runs; a wake-up is only a hint. At most one run of a thread is running at any time, and while none is, at most one is
//! *ready*: it starts as soon as a worker claims it. So readiness is decided when something is written, not when runs are claimed.
//!
//! # Order
//!
//! A pending run either *waits for its time* (it was created with an `available_at` that lay ahead, or handed back with a delay) or stands *in line*. Runs
//! have their places by the time when they may start, then by id:
//!
//! - A run that is due when it is created comes after all that stand in line and after the running one, so it is dated later where need be. So a line
//!   keeps the order in which its runs were accepted, also where the clocks of processes differ, or one goes back. What waits for its time counts for
//!   nothing here.
//! - A call that adds a run to a thread, takes one out of flight or hands one back makes the thread's next run ready, unless one is ready or running: the one
//!   that has the first place among those that stand in line or whose time has come by the clock of that call.
//! - A claim of at least one run first puts every run in line whose time has come by its clock, whoever's it is, and makes the next run of each of their threads
//!   ready in the same way. Runs of a thread that another call is changing at that moment may be left to the next claim.
//! - A run that stands in line waits for its time no more, and one that is ready stays ready until it starts, ends or is removed: whatever clocks say later, and
//!   whatever comes in line at an earlier place.
//!
//! A claim gives a [`Lease`]: the run's id and the attempt that this claim is. Every later write of the run names its lease and takes effect only
//! while that attempt is the current one and running; otherwise it fails with [`ErrorKind::LeaseLost`](crate::ErrorKind::LeaseLost) and changes nothing.

use std::sync::Arc;
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
    /// The run as it stands.
    pub run: Run,
    /// Whether the thread had no checkpoints when the run was created.
    pub fresh_thread: bool,
    /// Pending runs that the new one superseded; they have ended, so their streams must be closed.
    pub ended: Vec<RunId>,
}

/// What a worker asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRequest {
    /// Who asks, for people.
    pub worker: String,
    /// Most runs.
    pub max: usize,
    /// How long the worker may keep them without a heartbeat.
    pub lease: Duration,
    /// Whose runs it can execute; `None` for anybody's.
    pub tenants: Option<Vec<Tenant>>,
}

impl ClaimRequest {
    /// Asks for anybody's runs.
    pub fn new(worker: impl Into<String>, max: usize, lease: Duration) -> Self {
        Self { worker: worker.into(), max, lease, tenants: None }
    }

    /// Whether runs of `tenant` are asked for.
    pub fn wants(&self, tenant: &Tenant) -> bool {
        self.tenants.as_ref().is_none_or(|tenants| tenants.contains(tenant))
    }
}

/// A run that was claimed.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Whose it is.
    pub tenant: Tenant,
    /// The run, now running.
    pub run: Run,
    /// Whether its thread has no checkpoints.
    pub fresh_thread: bool,
    /// A cancel that came before the claim, e.g. while an earlier attempt was running.
    pub cancel: Option<CancelRequest>,
    /// What earlier attempts recorded with [`Queue::record_losses`].
    pub losses: Losses,
}

/// How a run's earlier attempts were lost. [`AttemptLost`](crate::executor::AttemptLost) says what an executor knows of each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Losses {
    /// How many attempts do not count towards the most that a run may have: the run is not known to have caused their loss.
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

/// What a claim call found.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    /// The runs that the caller now owns.
    pub runs: Vec<Claim>,
    /// When the earliest run that waits for its time becomes claimable; runs that were not asked for, or that a limit holds, do not count.
    pub next_due: Option<Timestamp>,
}

/// What a heartbeat learned about one lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heartbeat {
    /// Held and extended; with the cancel that someone asked for, if any.
    Held(Option<CancelRequest>),
    /// Lost: stop, and write nothing more.
    Lost,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// A terminal status. A run that was cancelled ends as `Interrupted`, whatever its graph said last.
    pub status: RunStatus,
    /// What the thread's row shows, if no other run is in flight on it; then it is `busy`.
    pub thread_status: ThreadStatus,
    /// What the thread's `error` shows.
    pub error: Option<RunError>,
    /// What the thread's `interrupts` shows: an object by task id.
    pub interrupts: RawJson,
    /// The thread's latest state and values; `None` leaves those that are there.
    pub state: Option<ThreadState>,
    /// The values without a state (a run that keeps no checkpoints); ignored when `state` is there.
    pub values: Option<RawJson>,
    /// Remove the run and every checkpoint that it made.
    pub rollback: bool,
}

/// What ending a run did.
#[derive(Debug, Clone, Default)]
pub struct Finished {
    /// The thread's next run, which became claimable.
    pub promoted: Option<RunId>,
}

/// What a cancel did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// The run was pending and has ended; its stream must be closed.
    Ended,
    /// The run is running; its worker was told and will end it.
    Requested,
}

/// Which runs in flight are cancelled together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InFlight {
    /// Those that have not begun.
    Pending,
    /// Those that have.
    Running,
    /// Both.
    All,
}

impl InFlight {
    /// The statuses, pending first: the end of a running run lets the next of its thread begin.
    pub fn statuses(self) -> &'static [RunStatus] {
        match self {
            Self::Pending => &[RunStatus::Pending],
            Self::Running => &[RunStatus::Running],
            Self::All => &[RunStatus::Pending, RunStatus::Running],
        }
    }
}

/// What cancelling several runs did.
#[derive(Debug, Clone, Default)]
pub struct CancelledMany {
    /// Runs that were pending and have ended; their streams must be closed.
    pub ended: Vec<LogKey>,
    /// Runs that are running; their workers were told and will end them.
    pub requested: Vec<RunId>,
}

/// A cancel of a running run, on its way to the run's worker. A run that was deleted is cancelled too, so that its worker stops at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelSignal {
    /// The run.
    pub run_id: RunId,
    /// How and why.
    pub request: CancelRequest,
}

/// The queue's figures at one moment, over all tenants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Runs that wait, also those whose time has not come.
    pub pending: u64,
    /// Runs that a worker holds, also one whose lease has expired and that nobody has claimed anew.
    pub running: u64,
    /// How long the pending run that is due for longest has waited since it was due; `None` when no pending run is due.
    pub wait_max: Option<Duration>,
    /// The median of the same over all pending runs that are due; between the two in the middle for an even number.
    pub wait_median: Option<Duration>,
    /// The longest of the same over the runs that only wait for a worker: no run of their thread is running or comes first.
    pub unblocked_wait_max: Option<Duration>,
}

/// Runs in flight.
#[async_trait]
pub trait Queue: Send + Sync + 'static {
    /// Creates a run, in one step with what its strategy does to the others on its thread and with the change of the thread's row (metadata, config, status
    /// `busy`). Runs of a thread start in [order](self#order). A run whose `available_at` lies ahead holds no other run up, yet counts as in flight.
    ///
    /// `Reject` with a run in flight fails. `Interrupt` ends pending runs as interrupted and asks for the cancel of the running one; `Rollback`
    /// removes pending runs with their checkpoints and asks for the rollback of the running one. The new run starts when the running one has ended.
    ///
    /// A run that is the firing of a cron moves the cron on in the same step; so of many who try, one fires it.
    ///
    /// # Errors
    /// `NotFound` for a thread that is not there (and may not be created), `Conflict` for a rejected run or a cron that is not due at that moment, `AlreadyExists` for a run id or a foreign thread id.
    /// `LimitReached` when the tenant's deployment would have more runs in flight than its
    /// [`max_runs_in_flight`](crate::model::DeploymentLimits::max_runs_in_flight), however many ask at once; pending runs that the new one would end do not count.
    async fn enqueue(&self, scope: &Scope, new: NewRun) -> Result<Enqueued>;

    /// Claims up to `max` ready runs of the tenants that are asked for. A run whose lease has expired counts as ready, and comes first: its worker is
    /// gone.
    ///
    /// Tenants take turns: the next run is one of the tenant that has the fewest running runs, those of this call counted in; among tenants that have
    /// equally many, of the one whose ready run is the oldest; within a tenant the oldest comes first. So nobody's queue, however long, keeps another tenant
    /// waiting. The order of the answer means nothing.
    ///
    /// A tenant whose deployment has [`max_running_runs`](crate::model::DeploymentLimits::max_running_runs) never has more runs running, however many
    /// claim at once. An expired run is one of them already, so claiming it anew is never held back.
    async fn claim(&self, request: &ClaimRequest) -> Result<Claims>;

    /// Extends leases by `lease` from now. The answers are in the order of the question.
    async fn heartbeat(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Heartbeat>>;

    /// Ends a run: its status, the thread's row and state, the removal of a temporary run's thread, and the promotion of the thread's next run, in one step.
    ///
    /// # Errors
    /// `LeaseLost`.
    async fn finish(&self, lease: Lease, outcome: Outcome) -> Result<Finished>;

    /// Hands a run back: pending again, claimable after `delay`. The attempt stays counted.
    ///
    /// # Errors
    /// `LeaseLost`.
    async fn release(&self, lease: Lease, delay: Duration) -> Result<()>;

    /// Records how the run's attempts were lost, all of them together; later claims of the run return it. The record survives the worker, so that
    /// whichever worker claims the run next knows that it is a suspect.
    ///
    /// # Errors
    /// `LeaseLost`.
    async fn record_losses(&self, lease: Lease, losses: Losses) -> Result<()>;

    /// Cancels a run: a pending one at once, a running one through its worker. A later request replaces an earlier one, except that a rollback stays one.
    ///
    /// # Errors
    /// `NotFound` for a run that is not there, not on that thread, or has ended.
    async fn cancel(
        &self,
        scope: &Scope,
        thread_id: ThreadId,
        run_id: RunId,
        request: CancelRequest,
    ) -> Result<Cancelled>;

    /// Cancels all runs in flight of the tenant whose threads pass the scope's filter, in one step, as [`Queue::cancel`] would. None of them begins
    /// because another ended.
    async fn cancel_in_flight(&self, scope: &Scope, which: InFlight, request: CancelRequest) -> Result<CancelledMany>;

    /// Counts what is in flight, of all tenants. The figures belong together: they are of one moment. It changes nothing, may cost a walk over the
    /// runs in flight (never over those that ended), and holds up no other call.
    async fn stats(&self) -> Result<QueueStats>;

    /// A hint each time that a run may have become claimable: also when a run ends whose deployment limits how many are running. Hints may be lost or spurious: poll too, at least every second.
    fn wakes(&self) -> Arc<tokio::sync::Notify>;

    /// Cancels of running runs as they are asked for. They may be lost: the heartbeat tells them too.
    fn cancels(&self) -> broadcast::Receiver<CancelSignal>;
}
