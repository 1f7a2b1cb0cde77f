//! Webhooks on their way: what is to be told about runs that have ended, until it was told or given up.
//!
//! A delivery is written in the same step as the end of its run, so neither is there without the other. It holds all that is sent: the run's row may be
//! gone before it is. Claiming works as for runs: a claim gives a [`DeliveryLease`], and a later claim ends it.
//!
//! Deliveries are made at least once: a process that dies after sending and before saying so sends again.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use tokio::sync::Notify;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::ids::{AssistantId, RunId, ThreadId};
use crate::json::{JsonMap, RawJson};
use crate::model::{MultitaskStrategy, Run, RunError};
use crate::run_state::RunStatus;
use crate::tenant::{Scope, Tenant};

/// The right to send a delivery, until it expires or a later attempt begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeliveryLease {
    /// The run that it tells of.
    pub run_id: RunId,
    /// Which claim of the delivery this is; 1 for the first.
    pub attempt: u32,
}

/// What is to be told about one run that has ended.
#[derive(Clone, PartialEq)]
pub struct Delivery {
    /// Whose it is.
    pub tenant: Tenant,
    /// The run that it tells of.
    pub run_id: RunId,
    /// Where to, as the run's creator wrote it. It may hold secrets: keep it out of logs.
    pub url: String,
    /// What is sent; see [`payload`].
    pub payload: RawJson,
    /// How often it was claimed.
    pub attempt: u32,
    /// When the run ended.
    pub created_at: Timestamp,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery").field("run_id", &self.run_id).field("attempt", &self.attempt).finish_non_exhaustive()
    }
}

impl Delivery {
    /// The lease that its claim gave.
    pub fn lease(&self) -> DeliveryLease {
        DeliveryLease { run_id: self.run_id, attempt: self.attempt }
    }
}

/// What a claim call found.
#[derive(Debug, Clone, Default)]
pub struct DueDeliveries {
    /// The deliveries that the caller now owns.
    pub deliveries: Vec<Delivery>,
    /// When the next one becomes due, a claimed one by the end of its lease.
    pub next_due: Option<Timestamp>,
}

/// A delivery that was given up. What was to be told is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedDelivery {
    /// The run that it told of.
    pub run_id: RunId,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was given up.
    pub failed_at: Timestamp,
    /// Why.
    pub reason: String,
}

/// Webhooks on their way.
///
/// A backend writes a delivery for each run that was created with a webhook, in the same step as the run's end and whatever ends it: its outcome, a cancel
/// while it is pending, or a newer run that supersedes it, also when that removes the run. The end of a temporary run counts too. A run that is *deleted*, or whose
/// thread is, has not ended and tells nothing.
#[async_trait]
pub trait Outbox: Send + Sync + 'static {
    /// Claims up to `max` deliveries of any tenant that are due, for `lease`, in the order in which they became due. One whose lease has expired is due: who
    /// held it is gone.
    async fn claim_deliveries(&self, max: usize, lease: Duration) -> Result<DueDeliveries>;

    /// Forgets a delivery that was made.
    ///
    /// # Errors
    /// `LeaseLost`.
    async fn delivered(&self, lease: DeliveryLease) -> Result<()>;

    /// Makes a delivery due again at `until`.
    ///
    /// # Errors
    /// `LeaseLost`.
    async fn put_off(&self, lease: DeliveryLease, until: Timestamp, reason: &str) -> Result<()>;

    /// Ends a delivery that cannot be made: it is never due again, its payload is removed, and the rest is kept until it is swept.
    ///
    /// # Errors
    /// `LeaseLost`.
    async fn give_up(&self, lease: DeliveryLease, reason: &str) -> Result<()>;

    /// The tenant's deliveries that were given up, the latest first, at most `limit`.
    async fn failed_deliveries(&self, scope: &Scope, limit: u32) -> Result<Vec<FailedDelivery>>;

    /// Removes what was given up at `until` or before, of any tenant; returns how many those were.
    async fn sweep_deliveries(&self, until: Timestamp) -> Result<u64>;

    /// A hint each time that a delivery may have become due. Hints may be lost or spurious: poll too, at least every second.
    fn delivery_wakes(&self) -> Arc<Notify>;
}

/// How a run ended, as its webhook tells it.
#[derive(Debug, Clone, Copy)]
pub struct RunEnd<'a> {
    /// The final status.
    pub status: RunStatus,
    /// When its last attempt began; `None` if it never began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Timestamp,
    /// The thread's values after the end; `None` for a temporary run.
    pub values: Option<&'a RawJson>,
    /// The failure or the cancel.
    pub error: Option<&'a RunError>,
}

#[derive(Serialize)]
struct Payload<'a> {
    run_id: RunId,
    thread_id: ThreadId,
    assistant_id: AssistantId,
    metadata: &'a JsonMap,
    status: RunStatus,
    kwargs: &'a RawJson,
    multitask_strategy: MultitaskStrategy,
    created_at: Timestamp,
    updated_at: Timestamp,
    langsmith_session_name: (),
    run_started_at: Option<Timestamp>,
    run_ended_at: Timestamp,
    webhook_sent_at: (),
    values: Option<&'a RawJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a RunError>,
}

/// What a webhook tells of a run: its row as it ended, when, with which values, and why if it failed. `webhook_sent_at` is null until it is sent.
pub fn payload(run: &Run, end: &RunEnd<'_>) -> RawJson {
    let payload = Payload {
        run_id: run.run_id,
        thread_id: run.thread_id,
        assistant_id: run.assistant_id,
        metadata: &run.metadata,
        status: end.status,
        kwargs: &run.kwargs,
        multitask_strategy: run.multitask_strategy,
        created_at: run.created_at,
        updated_at: end.ended_at,
        langsmith_session_name: (),
        run_started_at: end.started_at,
        run_ended_at: end.ended_at,
        webhook_sent_at: (),
        values: end.values,
        error: end.error,
    };
    // What rows hold always has a JSON form.
    RawJson::of(&payload).unwrap_or_default()
}
