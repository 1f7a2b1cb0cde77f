//! Which runs may start. Every change updates this, so a claim only reads it. Callers must have locked the threads'
//! rows.

use std::collections::HashMap;

use langopen_core::clock::Timestamp;
use langopen_core::error::Result;
use langopen_core::ids::{RunId, ThreadId};
use langopen_core::json::RawJson;
use langopen_core::model::{CancelAction, CancelRequest, ThreadStatus};
use langopen_core::tenant::Scope;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::checkpoint_rows;
use super::columns::{self, Context, get};
use super::outbox;
use super::session::Db;
use super::thread_rows::uuids;
use crate::rules::{documents::passes, run, thread};

/// Locks a run and returns the columns that settling needs, if the run is on that thread and the scope shows the
/// thread.
pub(super) async fn visible_run(
    operation: &'static str,
    db: &mut Db,
    scope: &Scope,
    thread_id: ThreadId,
    run_id: RunId,
) -> Result<Option<PgRow>> {
    let row = sqlx::query(
        "SELECT r.run_id, r.thread_id, r.status, r.temporary, r.webhook IS NOT NULL AS tells, r.cancel_action, t.metadata AS thread_metadata
         FROM runs r JOIN threads t USING (thread_id) WHERE r.run_id = $1 AND r.thread_id = $2 AND r.tenant = $3 FOR NO KEY UPDATE OF r",
    );
    let row = row.bind(run_id.0).bind(thread_id.0).bind(scope.tenant.as_str());
    match row.fetch_optional(db).await.context(operation)? {
        Some(row) if passes(scope, &columns::json(&row, "thread_metadata")?) => Ok(Some(row)),
        _ => Ok(None),
    }
}

/// Makes the thread's first due pending run ready and returns it. Does nothing if a run of the thread is ready or
/// running.
pub(super) async fn promote(
    operation: &'static str,
    db: &mut Db,
    thread_id: ThreadId,
    now: Timestamp,
) -> Result<Option<RunId>> {
    let promote = sqlx::query_scalar::<_, Option<Uuid>>("SELECT langopen_promote($1, $2)");
    let promoted = promote.bind(thread_id.0).bind(now.as_micros()).fetch_one(db).await.context(operation)?;
    Ok(promoted.map(RunId))
}

/// Updates threads after they lost runs without an outcome. Returns whether other runs of these threads may start now.
pub(super) async fn settle(operation: &'static str, db: &mut Db, threads: &[ThreadId], now: Timestamp) -> Result<bool> {
    let rows = sqlx::query(
        "SELECT thread_id, error, interrupts, state_rest,
            EXISTS (SELECT 1 FROM runs r WHERE r.thread_id = t.thread_id AND r.status = 'running')
                OR EXISTS (SELECT 1 FROM runs r WHERE r.thread_id = t.thread_id AND r.status = 'pending') AS in_flight
         FROM threads t WHERE thread_id = ANY ($1)",
    );
    let rows = rows.bind(uuids(threads)).fetch_all(&mut *db).await.context(operation)?;
    let (mut ids, mut statuses) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    for row in &rows {
        let [error, interrupts, rest] =
            ["error", "interrupts", "state_rest"].map(|column| columns::raw_or_null(row, column));
        let settled = thread::settled(error?.as_ref(), interrupts?.as_ref(), rest?.as_ref());
        let status = if get(row, "in_flight")? { ThreadStatus::Busy } else { settled };
        ids.push(get::<Uuid>(row, "thread_id")?);
        statuses.push(status.as_str());
    }
    let update = sqlx::query(
        "UPDATE threads t SET status = s.status, updated_at = $1 FROM unnest($2::UUID[], $3::TEXT[]) AS s (thread_id, status)
         WHERE t.thread_id = s.thread_id",
    );
    update.bind(now.as_micros()).bind(&ids).bind(statuses).execute(&mut *db).await.context(operation)?;
    let promote = sqlx::query_scalar::<_, i64>(
        "SELECT count(langopen_promote(t.thread_id, $1)) FROM unnest($2::UUID[]) AS t (thread_id)",
    );
    let promoted = promote.bind(now.as_micros()).bind(ids).fetch_one(db).await.context(operation)?;
    Ok(promoted > 0)
}

/// Removes runs of a thread and the checkpoints that they made.
pub(super) async fn roll_back(operation: &'static str, db: &mut Db, thread_id: ThreadId, runs: &[Uuid]) -> Result<()> {
    sqlx::query("DELETE FROM runs WHERE run_id = ANY ($1)").bind(runs).execute(&mut *db).await.context(operation)?;
    checkpoint_rows::remove_of_runs(operation, db, thread_id, runs).await
}

/// A pending run that a cancel ends before it starts.
#[derive(Debug)]
pub(super) struct Unbegun {
    pub(super) thread_id: ThreadId,
    pub(super) run_id: RunId,
    /// Whether it has a webhook.
    pub(super) tells: bool,
    pub(super) request: CancelRequest,
}

/// Ends pending runs with their cancels. Each thread shows the error of the last of its runs.
pub(super) async fn end_unbegun(operation: &'static str, db: &mut Db, runs: &[Unbegun], now: Timestamp) -> Result<()> {
    for run in runs.iter().filter(|run| run.tells) {
        outbox::tell_cancel(operation, db, run.run_id, &run.request, now).await?;
    }
    let interrupted = runs.iter().filter(|run| run.request.action == CancelAction::Interrupt);
    let end = sqlx::query(
        "UPDATE runs SET status = 'interrupted', ready = FALSE, delayed = FALSE, updated_at = $1 WHERE run_id = ANY ($2)",
    );
    let end = end.bind(now.as_micros()).bind(interrupted.map(|run| run.run_id.0).collect::<Vec<_>>());
    end.execute(&mut *db).await.context(operation)?;
    let mut rolled_back = HashMap::<ThreadId, Vec<Uuid>>::new();
    for run in runs.iter().filter(|run| run.request.action == CancelAction::Rollback) {
        rolled_back.entry(run.thread_id).or_default().push(run.run_id.0);
    }
    for (thread_id, runs) in rolled_back {
        roll_back(operation, db, thread_id, &runs).await?;
    }
    let errors: HashMap<_, _> = runs.iter().map(|run| (run.thread_id.0, &run.request)).collect();
    let (ids, errors): (Vec<_>, Vec<_>) = errors
        .into_iter()
        .map(|(id, request)| (id, thread::error_json(&run::cancel_error(request)).as_str().to_owned()))
        .unzip();
    let show = sqlx::query(
        "UPDATE threads t SET error = e.error, interrupts = coalesce(interrupts, $1)
         FROM unnest($2::UUID[], $3::TEXT[]) AS e (thread_id, error) WHERE t.thread_id = e.thread_id",
    );
    let nothing: RawJson = thread::empty_object();
    show.bind(nothing.as_str()).bind(ids).bind(errors).execute(db).await.context(operation)?;
    Ok(())
}
