//! Claiming runs, and extending leases.

use std::time::Duration;

use langopen_core::clock::Timestamp;
use langopen_core::error::Result;
use langopen_core::queue::{Claim, Claims, Heartbeat, Lease, Losses};
use langopen_core::tenant::Tenant;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::postgres::Postgres;
use crate::postgres::columns::{self, Context, get};

const OPERATION: &str = "queue.claim";

const CLAIM: &str =
    "SELECT c.run_id, tenant, thread_id, assistant_id, graph_id, metadata, status, kwargs, multitask_strategy, resumable,
    temporary, webhook, origin, attempt, created_at, updated_at, cancel_action, cancel_reason, fresh_thread, next_due,
    CASE WHEN attempt > 1 THEN (SELECT r.excused FROM runs r WHERE r.run_id = c.run_id) ELSE 0 END AS excused,
    CASE WHEN attempt > 1 THEN (SELECT r.suspected FROM runs r WHERE r.run_id = c.run_id) ELSE 0 END AS suspected
    FROM langopen_claim($1, $2, $3, $4, $5, $6) c";

/// The time until another claim is worthwhile if other transactions hold due runs.
const HELD_FOR: Duration = Duration::from_millis(20);

/// Extends leases. Locks the rows in order of their ids, as every statement that locks several runs does.
const HEARTBEAT: &str = "
    WITH held AS MATERIALIZED (
        SELECT r.run_id FROM unnest($2::UUID[], $3::BIGINT[]) AS l (run_id, attempt)
        JOIN runs r ON r.run_id = l.run_id AND r.attempt = l.attempt
        WHERE r.status = 'running' ORDER BY r.run_id FOR NO KEY UPDATE OF r)
    UPDATE runs r SET lease_expires_at = $1 FROM held WHERE r.run_id = held.run_id
    RETURNING r.run_id, r.attempt, r.cancel_action, r.cancel_reason";

/// The claim from the row of a run.
fn started(row: &PgRow) -> Result<Claim> {
    let number = |column| columns::count(row, column).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    Ok(Claim {
        tenant: columns::tenant(row)?,
        run: columns::run(row)?,
        fresh_thread: get(row, "fresh_thread")?,
        cancel: columns::cancel(row)?,
        losses: Losses { excused: number("excused")?, suspected: number("suspected")? },
    })
}

impl Postgres {
    pub(super) async fn claim_runs(
        &self,
        worker: &str,
        max: usize,
        lease: Duration,
        tenants: Option<&[Tenant]>,
    ) -> Result<Claims> {
        let tenants: Option<Vec<_>> = tenants.map(|tenants| tenants.iter().map(Tenant::as_str).collect());
        let mut claims = Claims::default();
        if max == 0 {
            return Ok(claims);
        }
        let wanted = i32::try_from(max).unwrap_or(i32::MAX);
        let (rows, now) = loop {
            let now = self.now();
            let rows = self.retrying(|| self.start_runs(worker, wanted, now, lease, tenants.as_deref())).await?;
            // Zero rows mean that many delayed runs became due at once. The next call continues with the rest of them.
            if !rows.is_empty() {
                break (rows, now);
            }
        };
        for row in &rows {
            match get::<Option<Uuid>>(row, "run_id")? {
                Some(_) => claims.runs.push(started(row)?),
                None => claims.next_due = get::<Option<i64>>(row, "next_due")?.map(Timestamp::from_micros),
            }
        }
        // If a due run was not claimed, another transaction holds it for a moment.
        claims.next_due = claims.next_due.map(|due| due.max(now.plus(HELD_FOR)));
        claims.runs.sort_by_key(|claim| (claim.run.created_at, claim.run.run_id));
        Ok(claims)
    }

    async fn start_runs(
        &self,
        worker: &str,
        wanted: i32,
        now: Timestamp,
        lease: Duration,
        tenants: Option<&[&str]>,
    ) -> Result<Vec<PgRow>> {
        let steady = self.steady();
        let mut db = self.session(OPERATION).await?;
        let rows = sqlx::query(CLAIM)
            .bind(now.as_micros())
            .bind(worker)
            .bind(wanted)
            .bind(steady.plus(lease).as_micros())
            .bind(tenants)
            .bind(steady.as_micros());
        let rows = rows.fetch_all(&mut *db).await.context(OPERATION)?;
        db.done(OPERATION).await.map(|()| rows)
    }

    pub(super) async fn extend_leases(&self, leases: &[Lease], expires_at: Timestamp) -> Result<Vec<Heartbeat>> {
        const OPERATION: &str = "queue.heartbeat";
        let mut db = self.session(OPERATION).await?;
        let rows = sqlx::query(HEARTBEAT)
            .bind(expires_at.as_micros())
            .bind(leases.iter().map(|lease| lease.run_id.0).collect::<Vec<_>>())
            .bind(leases.iter().map(|lease| i64::from(lease.attempt)).collect::<Vec<_>>());
        let rows = rows.fetch_all(&mut *db).await.context(OPERATION)?;
        db.done(OPERATION).await?;
        let mut answers = vec![Heartbeat::Lost; leases.len()];
        for row in &rows {
            let (run_id, attempt): (Uuid, u32) = (get(row, "run_id")?, columns::attempt(row)?);
            let cancel = columns::cancel(row)?;
            for (lease, answer) in leases.iter().zip(&mut answers) {
                if lease.run_id.0 == run_id && lease.attempt == attempt {
                    *answer = Heartbeat::Held(cancel.clone());
                }
            }
        }
        Ok(answers)
    }
}
