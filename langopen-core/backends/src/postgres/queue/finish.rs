//! Ending runs, and releasing them.

use std::time::Duration;

use langopen_core::clock::Timestamp;
use langopen_core::error::Result;
use langopen_core::ids::{RunId, ThreadId};
use langopen_core::json::RawJson;
use langopen_core::queue::{Finished, Lease, Losses, Outcome};
use uuid::Uuid;

use crate::postgres::Postgres;
use crate::postgres::columns::{Context, get};
use crate::postgres::session::{self, Db, transaction};
use crate::postgres::{outbox, readiness, thread_rows};
use crate::rules::{run, thread};

const OPERATION: &str = "queue.finish";

const FINISH: &str =
    "SELECT outcome, promoted, wakes FROM langopen_finish($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";

/// The result of ending a run, and the signals to send.
pub(super) struct Ended {
    pub(super) finished: Finished,
    pub(super) wakes: bool,
    pub(super) tells: bool,
}

/// Ends a run without a rollback. Returns `None` if the run has a webhook and `delivery_stored` is false.
async fn end(
    db: &mut Db,
    lease: Lease,
    outcome: &Outcome,
    delivery_stored: bool,
    now: Timestamp,
) -> Result<Option<Ended>> {
    // The function in the database knows whether other runs are in flight, and then sets the thread to busy itself.
    let change = thread::after(outcome.clone(), false);
    let (leave, checkpoint_id, rest) = thread_rows::state_columns(&change);
    let row = sqlx::query(FINISH)
        .bind(now.as_micros())
        .bind(lease.run_id.0)
        .bind(i64::from(lease.attempt))
        .bind(outcome.status.as_str())
        .bind(delivery_stored)
        .bind(change.status.as_str())
        .bind(change.error.as_ref().map(RawJson::as_str))
        .bind(change.interrupts.as_str())
        .bind(change.values.as_ref().map(RawJson::as_str))
        .bind(leave)
        .bind(checkpoint_id)
        .bind(rest);
    let row = row.fetch_one(db).await.context(OPERATION)?;
    match get(&row, "outcome")? {
        "ended" => {
            let finished = Finished { promoted: get::<Option<Uuid>>(&row, "promoted")?.map(RunId) };
            Ok(Some(Ended { finished, wakes: get(&row, "wakes")?, tells: delivery_stored }))
        }
        "tell" => Ok(None),
        _ => Err(run::lease_lost(OPERATION, lease)),
    }
}

/// The columns of a run's row that ending it needs.
struct Leased {
    thread_id: ThreadId,
    temporary: bool,
    tells: bool,
}

/// Locks the run and its thread. Fails unless the lease is the current one.
async fn leased(operation: &'static str, db: &mut Db, lease: Lease) -> Result<Leased> {
    let lost = || run::lease_lost(operation, lease);
    let thread = sqlx::query_scalar::<_, Uuid>("SELECT thread_id FROM runs WHERE run_id = $1").bind(lease.run_id.0);
    let thread_id = ThreadId(thread.fetch_optional(&mut *db).await.context(operation)?.ok_or_else(lost)?);
    thread_rows::lock(operation, db, &[thread_id]).await?;
    let row = sqlx::query(
        "SELECT temporary, webhook IS NOT NULL AS tells FROM runs WHERE run_id = $1 AND attempt = $2 AND status = 'running'
         FOR NO KEY UPDATE",
    );
    let row = row.bind(lease.run_id.0).bind(i64::from(lease.attempt)).fetch_optional(db).await.context(operation)?;
    let row = row.ok_or_else(lost)?;
    Ok(Leased { thread_id, temporary: get(&row, "temporary")?, tells: get(&row, "tells")? })
}

impl Postgres {
    pub(super) async fn end_run(&self, lease: Lease, outcome: &Outcome) -> Result<Ended> {
        let now = self.now();
        if !outcome.rollback {
            let ended = self.retrying(|| async {
                let mut db = self.session(OPERATION).await?;
                let ended = end(&mut db, lease, outcome, false, now).await;
                session::end(OPERATION, db, ended).await
            });
            if let Some(ended) = ended.await? {
                return Ok(ended);
            }
        }
        transaction!(self, OPERATION, |db| {
            let Leased { thread_id, temporary, tells } = leased(OPERATION, db, lease).await?;
            if tells {
                outbox::tell_outcome(OPERATION, db, lease.run_id, outcome, now).await?;
            }
            if outcome.rollback && !temporary {
                let finished = roll_back(db, thread_id, lease, outcome, now).await?;
                return Ok(Ended { finished, wakes: true, tells });
            }
            let ended = end(db, lease, outcome, true, now).await?.ok_or_else(|| run::lease_lost(OPERATION, lease))?;
            Ok(Ended { tells, ..ended })
        })
        .await
    }

    pub(super) async fn record_run_losses(&self, lease: Lease, losses: Losses) -> Result<()> {
        const OPERATION: &str = "queue.record_losses";
        let changed = self.retrying(|| async {
            let mut db = self.session(OPERATION).await?;
            let record =
                sqlx::query("UPDATE runs SET excused = $1, suspected = $2 WHERE run_id = $3 AND attempt = $4 AND status = 'running'");
            let record = record.bind(i64::from(losses.excused)).bind(i64::from(losses.suspected));
            let record = record.bind(lease.run_id.0).bind(i64::from(lease.attempt));
            let done = record.execute(&mut *db).await.context(OPERATION).map(|done| done.rows_affected());
            session::end(OPERATION, db, done).await
        });
        match changed.await? {
            0 => Err(run::lease_lost(OPERATION, lease)),
            _ => Ok(()),
        }
    }

    pub(super) async fn hand_back(&self, lease: Lease, delay: Duration) -> Result<()> {
        const OPERATION: &str = "queue.release";
        let now = self.now();
        transaction!(self, OPERATION, |db| {
            let Leased { thread_id, .. } = leased(OPERATION, db, lease).await?;
            // Without a delay, the run keeps its start time, and so stays before the runs that came after it.
            let available_at = (!delay.is_zero()).then(|| now.plus(delay).as_micros());
            let release = sqlx::query(
                "UPDATE runs SET status = 'pending', delayed = $2, available_at = coalesce($3, available_at), lease_owner = NULL,
                    lease_expires_at = NULL, updated_at = $4 WHERE run_id = $1",
            );
            let release =
                release.bind(lease.run_id.0).bind(available_at.is_some()).bind(available_at).bind(now.as_micros());
            release.execute(&mut *db).await.context(OPERATION)?;
            readiness::promote(OPERATION, db, thread_id, now).await?;
            Ok(())
        })
        .await
    }
}

async fn roll_back(
    db: &mut Db,
    thread_id: ThreadId,
    lease: Lease,
    outcome: &Outcome,
    now: Timestamp,
) -> Result<Finished> {
    readiness::roll_back(OPERATION, db, thread_id, &[lease.run_id.0]).await?;
    let others_in_flight = !thread_rows::in_flight(OPERATION, db, &[thread_id]).await?.is_empty();
    let change = thread::after(outcome.clone(), others_in_flight);
    thread_rows::apply(OPERATION, db, thread_id, &change, now).await?;
    Ok(Finished { promoted: readiness::promote(OPERATION, db, thread_id, now).await? })
}
