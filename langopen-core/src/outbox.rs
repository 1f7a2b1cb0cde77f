//! Webhooks that wait for delivery after their run has ended.
//!
//! The backend writes a delivery in the transaction that ends the run, so neither exists without the other. A delivery
//! holds everything that is sent, because the run's row may be deleted first. Claims work as for runs: a claim gives a
//! [`DeliveryLease`], and a later claim ends it.
//!
//! Delivery is at least once: a process that dies after it sent a webhook and before it recorded that sends it again.

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
    /// The run whose end it reports.
    pub run_id: RunId,
    /// Which claim of the delivery this is; 1 for the first.
    pub attempt: u32,
}

/// The webhook of one run that has ended.
#[derive(Clone, PartialEq)]
pub struct Delivery {
    /// The tenant of the run.
    pub tenant: Tenant,
    /// The run whose end it reports.
    pub run_id: RunId,
    /// The destination as the run's creator wrote it. It may hold secrets: keep it out of logs.
    pub url: String,
    /// The body; see [`payload`].
    pub payload: RawJson,
    /// The number of claims so far.
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

/// The answer to a claim.
#[derive(Debug, Clone, Default)]
pub struct DueDeliveries {
    /// The deliveries that the caller now owns.
    pub deliveries: Vec<Delivery>,
    /// When the next delivery becomes due. A claimed delivery becomes due when its lease expires.
    pub next_due: Option<Timestamp>,
}

/// A delivery that the dispatcher gave up. Its payload is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedDelivery {
    /// The run whose end it reported.
    pub run_id: RunId,
    /// The number of attempts.
    pub attempts: u32,
    /// When the dispatcher gave up.
    pub failed_at: Timestamp,
    /// Why.
    pub reason: String,
}

/// Webhooks that wait for delivery.
///
/// A backend writes a delivery for each run with a webhook when the run ends, in the same transaction. It does not
/// matter what ends the run: its outcome, a cancel while it is pending, or a newer run that supersedes or removes it.
/// Temporary runs count too. A *deleted* run, or a run of a deleted thread, has not ended and has no delivery.
#[async_trait]
pub trait Outbox: Send + Sync + 'static {
    /// Claims up to `max` due deliveries of any tenant for `lease`, the earliest due first. A delivery whose lease has
    /// expired is due again.
    async fn claim_deliveries(&self, max: usize, lease: Duration) -> Result<DueDeliveries>;

    /// Deletes a delivery that succeeded.
    ///
    /// # Errors
    /// `LeaseLost`.
    async fn delivered(&self, lease: DeliveryLease) -> Result<()>;

    /// Makes a delivery due again at `until`.
    ///
    /// # Errors
    /// `LeaseLost`.
    async fn put_off(&self, lease: DeliveryLease, until: Timestamp, reason: &str) -> Result<()>;

    /// Ends a delivery that cannot succeed. It never becomes due again; the backend deletes its payload and keeps the
    /// rest until a sweep.
    ///
    /// # Errors
    /// `LeaseLost`.
    async fn give_up(&self, lease: DeliveryLease, reason: &str) -> Result<()>;

    /// The tenant's deliveries that were given up, newest first, at most `limit`.
    async fn failed_deliveries(&self, scope: &Scope, limit: u32) -> Result<Vec<FailedDelivery>>;

    /// Deletes the deliveries of all tenants that were given up at `until` or before; returns their number.
    async fn sweep_deliveries(&self, until: Timestamp) -> Result<u64>;

    /// Notifies when a delivery may have become due. Notifications may be lost or spurious: poll at least once a second
    /// too.
    ///
    /// By default it never notifies.
    fn delivery_wakes(&self) -> Arc<Notify> {
        Arc::default()
    }
}

/// How a run ended, for its webhook.
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

/// The body of a webhook: the run's row as it ended, the time, the thread's values, and the error if it failed.
/// `webhook_sent_at` is null until the dispatcher sends it.
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
    // Stored rows always have a JSON form.
    RawJson::of(&payload).unwrap_or_default()
}
