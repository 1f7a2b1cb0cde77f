//! The rows of webhook deliveries.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use langopen_core::clock::Timestamp;
use langopen_core::error::Result;
use langopen_core::ids::RunId;
use langopen_core::json::RawJson;
use langopen_core::model::{CancelRequest, Run};
use langopen_core::outbox::{Delivery, DeliveryLease, DueDeliveries, FailedDelivery, Outbox};
use langopen_core::queue::Outcome;
use langopen_core::tenant::{Scope, Tenant};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use tokio::sync::Notify;

use super::Sqlite;
use super::columns::{self, Context, get, raw, time};
use crate::rules::delivery::{lease_lost, of_cancel, of_outcome};

/// Stores the webhook delivery for a run that ends with this outcome. Call it before the run's row changes. Does
/// nothing for a run without a webhook.
pub(super) async fn tell_outcome(
    operation: &'static str,
    db: &mut SqliteConnection,
    run_id: RunId,
    outcome: &Outcome,
    now: Timestamp,
) -> Result<()> {
    let known = !outcome.rollback && (outcome.state.is_some() || outcome.values.is_some());
    let Some(Ended { tenant, run, values }) = ended(operation, db, run_id, !known).await? else { return Ok(()) };
    store(operation, db, of_outcome(&tenant, &run, outcome, values.as_ref(), now)).await
}

/// Stores the webhook delivery for a pending run that is cancelled. Call it before the run's row changes. Does nothing
/// for a run without a webhook.
pub(super) async fn tell_cancel(
    operation: &'static str,
    db: &mut SqliteConnection,
    run_id: RunId,
    request: &CancelRequest,
    now: Timestamp,
) -> Result<()> {
    let Some(Ended { tenant, run, values }) = ended(operation, db, run_id, true).await? else { return Ok(()) };
    store(operation, db, of_cancel(&tenant, &run, request, values.as_ref(), now)).await
}

/// A run with a webhook that is about to end.
struct Ended {
    tenant: Tenant,
    run: Run,
    /// The thread's values, if the caller asked for them.
    values: Option<RawJson>,
}

async fn ended(
    operation: &'static str,
    db: &mut SqliteConnection,
    run_id: RunId,
    with_values: bool,
) -> Result<Option<Ended>> {
    let row = sqlx::query(
        "SELECT r.*, iif(?, t.\"values\", NULL) AS thread_values FROM runs r JOIN threads t USING (thread_id)
         WHERE r.run_id = ? AND r.webhook IS NOT NULL",
    );
    let row = row.bind(with_values).bind(run_id.0).fetch_optional(db).await.context(operation)?;
    let Some(row) = row else { return Ok(None) };
    let values = columns::raw_or_null(&row, "thread_values")?;
    Ok(Some(Ended { tenant: columns::tenant(&row)?, run: columns::run(&row)?, values }))
}

async fn store(operation: &'static str, db: &mut SqliteConnection, delivery: Option<Delivery>) -> Result<()> {
    let Some(delivery) = delivery else { return Ok(()) };
    sqlx::query(
        "INSERT OR REPLACE INTO webhook_deliveries (run_id, tenant, url, created_at, due_at, attempt, claimed, payload)
         VALUES (?, ?, ?, ?, ?, 0, 0, ?)",
    )
    .bind(delivery.run_id.0)
    .bind(delivery.tenant.as_str())
    .bind(delivery.url)
    .bind(delivery.created_at.as_micros())
    .bind(delivery.created_at.as_micros())
    .bind(delivery.payload.as_str())
    .execute(db)
    .await
    .context(operation)?;
    Ok(())
}

const NEXT: &str = "SELECT due_at FROM webhook_deliveries WHERE failed_at IS NULL ORDER BY due_at, run_id LIMIT 1";

/// Claims the due deliveries.
const CLAIM: &str = "UPDATE webhook_deliveries SET claimed = 1, attempt = attempt + 1, due_at = ?
     WHERE run_id IN (SELECT run_id FROM webhook_deliveries WHERE failed_at IS NULL AND due_at <= ? ORDER BY due_at, run_id LIMIT ?)
     RETURNING run_id, tenant, url, created_at, attempt, payload";

async fn claim(db: &mut SqliteConnection, max: i64, now: Timestamp, expires_at: Timestamp) -> Result<DueDeliveries> {
    const OPERATION: &str = "outbox.claim";
    let rows = sqlx::query(CLAIM).bind(expires_at.as_micros()).bind(now.as_micros()).bind(max);
    let rows = rows.fetch_all(&mut *db).await.context(OPERATION)?;
    let mut deliveries = rows.iter().map(delivery).collect::<Result<Vec<_>>>()?;
    deliveries.sort_by_key(|delivery| (delivery.created_at, delivery.run_id));
    let next = sqlx::query(NEXT).fetch_optional(db).await.context(OPERATION)?;
    Ok(DueDeliveries { deliveries, next_due: next.map(|row| time(&row, "due_at")).transpose()? })
}

fn delivery(row: &SqliteRow) -> Result<Delivery> {
    Ok(Delivery {
        tenant: columns::tenant(row)?,
        run_id: RunId(get(row, "run_id")?),
        url: get(row, "url")?,
        payload: raw(row, "payload")?,
        attempt: get(row, "attempt")?,
        created_at: time(row, "created_at")?,
    })
}

fn failed(row: &SqliteRow) -> Result<FailedDelivery> {
    let reason: Option<String> = get(row, "last_error")?;
    Ok(FailedDelivery {
        run_id: RunId(get(row, "run_id")?),
        attempts: get(row, "attempt")?,
        failed_at: time(row, "failed_at")?,
        reason: reason.unwrap_or_default(),
    })
}

/// Selects the row that a lease holds. The last two parameters of the statement are the lease's run id and attempt.
const HELD: &str = "WHERE run_id = ? AND attempt = ? AND claimed = 1 AND failed_at IS NULL";

impl Sqlite {
    pub(super) fn wake_deliveries(&self, there_are_some: bool) {
        if there_are_some {
            self.shared.delivery_wakes.notify_one();
        }
    }

    /// Runs one statement that changes a delivery's row. `change` is the statement without its condition; [`HELD`]
    /// follows it. `time` and `reason` are its parameters.
    async fn change_delivery(
        &self,
        operation: &'static str,
        lease: DeliveryLease,
        change: &'static str,
        time: Option<Timestamp>,
        reason: Option<&str>,
    ) -> Result<()> {
        let reason = reason.map(str::to_owned);
        let job = self.write_whole(operation, move |db| {
            async move {
                let text = sqlx::AssertSqlSafe(format!("{change} {HELD}"));
                let mut query = sqlx::query(text);
                if let Some(time) = time {
                    query = query.bind(time.as_micros()).bind(reason);
                }
                let done = query.bind(lease.run_id.0).bind(lease.attempt).execute(db).await.context(operation)?;
                match done.rows_affected() {
                    0 => Err(lease_lost(operation, lease)),
                    _ => Ok(()),
                }
            }
            .boxed()
        });
        job.await
    }
}

#[async_trait]
impl Outbox for Sqlite {
    async fn claim_deliveries(&self, max: usize, lease: Duration) -> Result<DueDeliveries> {
        const OPERATION: &str = "outbox.claim";
        let now = self.now();
        // Usually nothing is due, and a reading connection is enough to see that.
        let next = sqlx::query(NEXT).fetch_optional(self.readers()).await.context(OPERATION)?;
        let next_due = next.map(|row| time(&row, "due_at")).transpose()?;
        if next_due.is_none_or(|due| due > now) {
            return Ok(DueDeliveries { deliveries: Vec::new(), next_due });
        }
        let (max, expires_at) = (i64::try_from(max).unwrap_or(i64::MAX), now.plus(lease));
        self.write_whole(OPERATION, move |db| claim(db, max, now, expires_at).boxed()).await
    }

    async fn delivered(&self, lease: DeliveryLease) -> Result<()> {
        self.change_delivery("outbox.delivered", lease, "DELETE FROM webhook_deliveries", None, None).await
    }

    async fn put_off(&self, lease: DeliveryLease, until: Timestamp, reason: &str) -> Result<()> {
        let change = "UPDATE webhook_deliveries SET claimed = 0, due_at = ?, last_error = ?";
        self.change_delivery("outbox.put_off", lease, change, Some(until), Some(reason)).await
    }

    async fn give_up(&self, lease: DeliveryLease, reason: &str) -> Result<()> {
        let change = "UPDATE webhook_deliveries SET claimed = 0, payload = NULL, failed_at = ?, last_error = ?";
        self.change_delivery("outbox.give_up", lease, change, Some(self.now()), Some(reason)).await
    }

    async fn failed_deliveries(&self, scope: &Scope, limit: u32) -> Result<Vec<FailedDelivery>> {
        let rows = sqlx::query(
            "SELECT run_id, attempt, failed_at, last_error FROM webhook_deliveries WHERE failed_at IS NOT NULL AND tenant = ?
             ORDER BY failed_at DESC, run_id DESC LIMIT ?",
        );
        let rows = rows.bind(scope.tenant.as_str()).bind(limit).fetch_all(self.readers()).await;
        rows.context("outbox.failed")?.iter().map(failed).collect()
    }

    async fn sweep_deliveries(&self, until: Timestamp) -> Result<u64> {
        const OPERATION: &str = "outbox.sweep";
        let job = self.write_whole(OPERATION, move |db| {
            async move {
                let sweep = sqlx::query("DELETE FROM webhook_deliveries WHERE failed_at <= ?").bind(until.as_micros());
                sweep.execute(db).await.map(|done| done.rows_affected()).context(OPERATION)
            }
            .boxed()
        });
        job.await
    }

    fn delivery_wakes(&self) -> Arc<Notify> {
        self.shared.delivery_wakes.clone()
    }
}
