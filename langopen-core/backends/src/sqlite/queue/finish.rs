//! Ending runs, and releasing them.

use std::time::Duration;

use langopen_core::clock::Timestamp;
use langopen_core::error::Result;
use langopen_core::ids::ThreadId;
use langopen_core::queue::{Finished, Lease, Losses, Outcome};
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, SqliteConnection};

use crate::rules::run::lease_lost;
use crate::rules::{run, thread};
use crate::sqlite::columns::{Context, get};
use crate::sqlite::writer::{run_together, together};
use crate::sqlite::{outbox, readiness, thread_rows};

const OPERATION: &str = "queue.finish";

const END: &str =
    "UPDATE runs SET status = ?, lease_owner = NULL, lease_expires_at = NULL, updated_at = ? WHERE run_id = ?";

/// The result of ending a run, and the signals to send.
pub(super) struct Ended {
    pub(super) finished: Finished,
    /// Whether the run has a webhook, so that a delivery is due.
    pub(super) tells: bool,
    /// Whether another run of the deployment may start now, because the deployment has a limit of running runs.
    pub(super) makes_room: bool,
}

/// The columns of a run's row that a release needs. Fails unless the lease is the current one.
async fn leased(operation: &'static str, db: &mut SqliteConnection, lease: Lease) -> Result<SqliteRow> {
    let row = sqlx::query("SELECT thread_id FROM runs WHERE run_id = ? AND attempt = ? AND status = 'running'");
    let row = row.bind(lease.run_id.0).bind(lease.attempt).fetch_optional(db).await.context(operation)?;
    row.ok_or_else(|| run::lease_lost(operation, lease))
}

/// Ends a temporary run without a webhook, and changes no other run. Returns the columns that ending any run needs.
async fn end_temporary(operation: &'static str, db: &mut SqliteConnection, lease: Lease) -> Result<SqliteRow> {
    // One round trip for both statements, because latency matters most for temporary runs.
    let rows = sqlx::query(
        "SELECT thread_id, temporary, webhook IS NOT NULL AS has_webhook, EXISTS
            (SELECT 1 FROM runs o WHERE o.thread_id = r.thread_id AND o.status = 'pending') AS others_in_flight, EXISTS
            (SELECT 1 FROM deployments d WHERE d.tenant = r.tenant AND d.max_running_runs IS NOT NULL) AS makes_room
         FROM runs r WHERE run_id = ? AND attempt = ? AND status = 'running';
         DELETE FROM threads WHERE thread_id =
            (SELECT thread_id FROM runs WHERE run_id = ? AND attempt = ? AND status = 'running' AND temporary = 1 AND webhook IS NULL)",
    );
    let rows = rows.bind(lease.run_id.0).bind(lease.attempt).bind(lease.run_id.0).bind(lease.attempt);
    let rows = rows.fetch_all(db).await.context(operation)?;
    rows.into_iter().next().ok_or_else(|| run::lease_lost(operation, lease))
}

/// Ends a run.
pub(super) async fn finish(db: &mut SqliteConnection, lease: Lease, outcome: Outcome, now: Timestamp) -> Result<Ended> {
    let row = end_temporary(OPERATION, db, lease).await?;
    let thread_id = ThreadId(get(&row, "thread_id")?);
    let (temporary, others_in_flight): (bool, bool) = (get(&row, "temporary")?, get(&row, "others_in_flight")?);
    let (tells, makes_room): (bool, bool) = (get(&row, "has_webhook")?, get(&row, "makes_room")?);
    if !tells {
        let finished = match temporary {
            true => Finished::default(),
            false => end(db, lease, thread_id, others_in_flight, outcome, now).await?,
        };
        return Ok(Ended { finished, tells, makes_room });
    }
    let mut part = db.begin().await.context(OPERATION)?;
    outbox::tell_outcome(OPERATION, &mut part, lease.run_id, &outcome, now).await?;
    let finished = match temporary {
        true => thread_rows::remove(OPERATION, &mut part, thread_id).await.map(|()| Finished::default())?,
        false => end(&mut part, lease, thread_id, others_in_flight, outcome, now).await?,
    };
    part.commit().await.context(OPERATION)?;
    Ok(Ended { finished, tells, makes_room })
}

/// Ends a run that is not temporary.
async fn end(
    db: &mut SqliteConnection,
    lease: Lease,
    thread_id: ThreadId,
    others_in_flight: bool,
    outcome: Outcome,
    now: Timestamp,
) -> Result<Finished> {
    let (rollback, status) = (outcome.rollback, outcome.status);
    let change = thread::after(outcome, others_in_flight);
    if !rollback && !others_in_flight {
        let end = format!("{END}; {}", thread_rows::APPLY);
        let end = sqlx::query(together(db, &end)).bind(status.as_str()).bind(now.as_micros()).bind(lease.run_id.0);
        run_together(OPERATION, db, thread_rows::bind_change(end, thread_id, &change, now)).await?;
        return Ok(Finished::default());
    }
    let mut part = db.begin().await.context(OPERATION)?;
    if rollback {
        readiness::roll_back(OPERATION, &mut part, thread_id, lease.run_id).await?;
    } else {
        let end = sqlx::query(END).bind(status.as_str()).bind(now.as_micros()).bind(lease.run_id.0);
        end.execute(&mut *part).await.context(OPERATION)?;
    }
    thread_rows::apply(OPERATION, &mut part, thread_id, &change, now).await?;
    let promoted = readiness::promote(OPERATION, &mut part, thread_id, now).await?;
    part.commit().await.context(OPERATION)?;
    Ok(Finished { promoted })
}

pub(super) async fn record_losses(db: &mut SqliteConnection, lease: Lease, losses: Losses) -> Result<()> {
    const OPERATION: &str = "queue.record_losses";
    let record = sqlx::query(
        "UPDATE runs SET excused = ?, suspected = ? WHERE run_id = ? AND attempt = ? AND status = 'running'",
    );
    let record = record.bind(losses.excused).bind(losses.suspected).bind(lease.run_id.0).bind(lease.attempt);
    match record.execute(db).await.context(OPERATION)?.rows_affected() {
        0 => Err(lease_lost(OPERATION, lease)),
        _ => Ok(()),
    }
}

pub(super) async fn release(db: &mut SqliteConnection, lease: Lease, delay: Duration, now: Timestamp) -> Result<()> {
    const OPERATION: &str = "queue.release";
    let row = leased(OPERATION, db, lease).await?;
    // Without a delay, the run keeps its start time, and so stays before the runs that came after it.
    let available_at = (!delay.is_zero()).then(|| now.plus(delay).as_micros());
    sqlx::query(
        "UPDATE runs SET status = 'pending', delayed = ?2, available_at = coalesce(?3, available_at), lease_owner = NULL,
            lease_expires_at = NULL, updated_at = ?4 WHERE run_id = ?1",
    )
    .bind(lease.run_id.0)
    .bind(available_at.is_some())
    .bind(available_at)
    .bind(now.as_micros())
    .execute(&mut *db)
    .await
    .context(OPERATION)?;
    readiness::promote(OPERATION, db, ThreadId(get(&row, "thread_id")?), now).await?;
    Ok(())
}
