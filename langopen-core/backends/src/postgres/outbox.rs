//! The rows of webhook deliveries.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use langopen_core::clock::Timestamp;
use langopen_core::error::Result;
use langopen_core::ids::RunId;
use langopen_core::json::RawJson;
use langopen_core::model::{CancelRequest, Run};
use langopen_core::outbox::{Delivery, DeliveryLease, DueDeliveries, FailedDelivery, Outbox};
use langopen_core::queue::Outcome;
use langopen_core::tenant::{Scope, Tenant};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgRow;
use tokio::sync::Notify;
use uuid::Uuid;

use super::Postgres;
use super::columns::{self, Context, RUN, get, raw, time};
use super::session::Db;
use crate::rules::delivery::{lease_lost, of_cancel, of_outcome};

/// Stores the webhook delivery for a run that ends with this outcome. Call it before the run's row changes. Does
/// nothing for a run without a webhook.
pub(super) async fn tell_outcome(
    operation: &'static str,
    db: &mut Db,
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
    db: &mut Db,
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

async fn ended(operation: &'static str, db: &mut Db, run_id: RunId, with_values: bool) -> Result<Option<Ended>> {
    let sql = format!(
        "SELECT {RUN}, r.tenant, CASE WHEN $1 THEN t.\"values\" END AS thread_values FROM runs r JOIN threads t USING (thread_id)
         WHERE r.run_id = $2 AND r.webhook IS NOT NULL"
    );
    let row = sqlx::query(AssertSqlSafe(sql)).bind(with_values).bind(run_id.0);
    let Some(row) = row.fetch_optional(db).await.context(operation)? else { return Ok(None) };
    let values = columns::raw_or_null(&row, "thread_values")?;
    Ok(Some(Ended { tenant: columns::tenant(&row)?, run: columns::run(&row)?, values }))
}

async fn store(operation: &'static str, db: &mut Db, delivery: Option<Delivery>) -> Result<()> {
    let Some(delivery) = delivery else { return Ok(()) };
    sqlx::query(
        "INSERT INTO webhook_deliveries (run_id, tenant, url, created_at, due_at, attempt, claimed, payload)
         VALUES ($1, $2, $3, $4, $4, 0, FALSE, $5)
         ON CONFLICT (run_id) DO UPDATE SET tenant = excluded.tenant, url = excluded.url, created_at = excluded.created_at,
            due_at = excluded.due_at, attempt = 0, claimed = FALSE, failed_at = NULL, last_error = NULL, payload = excluded.payload",
    )
    .bind(delivery.run_id.0)
    .bind(delivery.tenant.as_str())
    .bind(delivery.url)
    .bind(delivery.created_at.as_micros())
    .bind(delivery.payload.as_str())
    .execute(db)
    .await
    .context(operation)?;
    Ok(())
}

/// Claims the due deliveries. One more row has no delivery; it holds the earliest due time of all other deliveries.
const CLAIM: &str = "
    WITH chosen AS MATERIALIZED (
        SELECT run_id FROM webhook_deliveries WHERE failed_at IS NULL AND due_at <= $2
        ORDER BY due_at, run_id LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED),
    claimed AS (
        UPDATE webhook_deliveries d SET claimed = TRUE, attempt = attempt + 1, due_at = $1 FROM chosen WHERE d.run_id = chosen.run_id
        RETURNING d.run_id, d.tenant, d.url, d.created_at, d.attempt, d.payload, NULL::BIGINT AS next_due)
    SELECT * FROM claimed
    UNION ALL
    SELECT NULL, NULL, NULL, NULL, NULL, NULL, (
        SELECT due_at FROM webhook_deliveries WHERE failed_at IS NULL AND run_id NOT IN (SELECT run_id FROM chosen)
        ORDER BY due_at, run_id LIMIT 1)";

fn delivery(row: &PgRow) -> Result<Delivery> {
    Ok(Delivery {
        tenant: columns::tenant(row)?,
        run_id: RunId(get(row, "run_id")?),
        url: get(row, "url")?,
        payload: raw(row, "payload")?,
        attempt: columns::attempt(row)?,
        created_at: time(row, "created_at")?,
    })
}

fn failed(row: &PgRow) -> Result<FailedDelivery> {
    let reason: Option<String> = get(row, "last_error")?;
    Ok(FailedDelivery {
        run_id: RunId(get(row, "run_id")?),
        attempts: columns::attempt(row)?,
        failed_at: time(row, "failed_at")?,
        reason: reason.unwrap_or_default(),
    })
}

/// Selects the row that a lease holds. The first two parameters of the statement are the lease's run id and attempt.
const HELD: &str = "WHERE run_id = $1 AND attempt = $2 AND claimed AND failed_at IS NULL";

impl Postgres {
    /// Runs one statement that changes a delivery's row. `change` is the statement without its condition; [`HELD`]
    /// follows it. The `parameters` become `$3` and `$4`.
    async fn change_delivery(
        &self,
        operation: &'static str,
        lease: DeliveryLease,
        change: &str,
        parameters: Option<(Timestamp, &str)>,
    ) -> Result<()> {
        let mut db = self.session(operation).await?;
        let mut query = sqlx::query(AssertSqlSafe(format!("{change} {HELD}")));
        query = query.bind(lease.run_id.0).bind(i64::from(lease.attempt));
        if let Some((time, reason)) = parameters {
            query = query.bind(time.as_micros()).bind(reason);
        }
        match query.execute(&mut *db).await.context(operation)?.rows_affected() {
            0 => Err(lease_lost(operation, lease)),
            _ => db.done(operation).await,
        }
    }
}

#[async_trait]
impl Outbox for Postgres {
    async fn claim_deliveries(&self, max: usize, lease: Duration) -> Result<DueDeliveries> {
        const OPERATION: &str = "outbox.claim";
        let (max, now) = (i64::try_from(max).unwrap_or(i64::MAX), self.now());
        let expires_at = now.plus(lease);
        let mut db = self.session(OPERATION).await?;
        let rows = sqlx::query(CLAIM).bind(expires_at.as_micros()).bind(now.as_micros()).bind(max);
        let rows = rows.fetch_all(&mut *db).await.context(OPERATION)?;
        db.done(OPERATION).await?;
        let (mut deliveries, mut left) = (Vec::with_capacity(rows.len()), None);
        for row in &rows {
            match get::<Option<Uuid>>(row, "run_id")? {
                Some(_) => deliveries.push(delivery(row)?),
                None => left = get::<Option<i64>>(row, "next_due")?,
            }
        }
        deliveries.sort_by_key(|delivery| (delivery.created_at, delivery.run_id));
        let claimed = (!deliveries.is_empty()).then_some(expires_at);
        let next_due = left.map(Timestamp::from_micros).into_iter().chain(claimed).min();
        Ok(DueDeliveries { deliveries, next_due })
    }

    async fn delivered(&self, lease: DeliveryLease) -> Result<()> {
        self.change_delivery("outbox.delivered", lease, "DELETE FROM webhook_deliveries", None).await
    }

    async fn put_off(&self, lease: DeliveryLease, until: Timestamp, reason: &str) -> Result<()> {
        let change = "UPDATE webhook_deliveries SET claimed = FALSE, due_at = $3, last_error = $4";
        self.change_delivery("outbox.put_off", lease, change, Some((until, reason))).await
    }

    async fn give_up(&self, lease: DeliveryLease, reason: &str) -> Result<()> {
        let change = "UPDATE webhook_deliveries SET claimed = FALSE, payload = NULL, failed_at = $3, last_error = $4";
        self.change_delivery("outbox.give_up", lease, change, Some((self.now(), reason))).await
    }

    async fn failed_deliveries(&self, scope: &Scope, limit: u32) -> Result<Vec<FailedDelivery>> {
        const OPERATION: &str = "outbox.failed";
        let rows = sqlx::query(
            "SELECT run_id, attempt, failed_at, last_error FROM webhook_deliveries WHERE failed_at IS NOT NULL AND tenant = $1
             ORDER BY failed_at DESC, run_id DESC LIMIT $2",
        );
        let rows = rows.bind(scope.tenant.as_str()).bind(i64::from(limit));
        let rows = rows.fetch_all(&mut *self.session(OPERATION).await?).await.context(OPERATION)?;
        rows.iter().map(failed).collect()
    }

    async fn sweep_deliveries(&self, until: Timestamp) -> Result<u64> {
        const OPERATION: &str = "outbox.sweep";
        let mut db = self.session(OPERATION).await?;
        let sweep = sqlx::query("DELETE FROM webhook_deliveries WHERE failed_at <= $1").bind(until.as_micros());
        let swept = sweep.execute(&mut *db).await.context(OPERATION)?.rows_affected();
        db.done(OPERATION).await.map(|()| swept)
    }

    fn delivery_wakes(&self) -> Arc<Notify> {
        self.shared.hints.delivery_wakes.clone()
    }
}
