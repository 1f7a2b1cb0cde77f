//! Which runs may start. Every change updates this, so a claim only reads it.

use langopen_core::clock::Timestamp;
use langopen_core::error::Result;
use langopen_core::ids::{RunId, ThreadId};
use langopen_core::json::RawJson;
use langopen_core::model::{CancelAction, CancelRequest, ThreadStatus};
use langopen_core::tenant::Scope;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::checkpoint_rows;
use super::columns::{self, Context, get};
use super::{outbox, thread_rows};
use crate::rules::{documents::passes, run, thread};

/// The columns of a run's row that settling needs, if the run is on that thread and the scope shows the thread.
pub(super) async fn visible_run(
    operation: &'static str,
    db: &mut SqliteConnection,
    scope: &Scope,
    thread_id: ThreadId,
    run_id: RunId,
) -> Result<Option<SqliteRow>> {
    let row = sqlx::query(
        "SELECT r.status, r.temporary, r.cancel_action, t.metadata AS thread_metadata
         FROM runs r JOIN threads t USING (thread_id) WHERE r.run_id = ? AND r.thread_id = ? AND r.tenant = ?",
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
    db: &mut SqliteConnection,
    thread_id: ThreadId,
    now: Timestamp,
) -> Result<Option<RunId>> {
    let row = sqlx::query(
        "UPDATE runs SET ready = 1, delayed = 0 WHERE run_id =
            (SELECT run_id FROM runs WHERE thread_id = ?1 AND status = 'pending' AND (delayed = 0 OR available_at <= ?2)
             ORDER BY available_at, run_id LIMIT 1)
            AND NOT EXISTS (SELECT 1 FROM runs WHERE thread_id = ?1 AND status = 'running')
            AND NOT EXISTS (SELECT 1 FROM runs WHERE thread_id = ?1 AND ready = 1)
         RETURNING run_id",
    );
    let row = row.bind(thread_id.0).bind(now.as_micros()).fetch_optional(db).await.context(operation)?;
    row.map(|row| get(&row, "run_id").map(RunId)).transpose()
}

/// Updates a thread after it lost a run without an outcome. If the run was temporary, removes its thread instead.
pub(super) async fn settle(
    operation: &'static str,
    db: &mut SqliteConnection,
    thread_id: ThreadId,
    temporary: bool,
    now: Timestamp,
) -> Result<Option<RunId>> {
    if temporary {
        thread_rows::remove(operation, db, thread_id).await?;
        return Ok(None);
    }
    let row = sqlx::query(
        "SELECT error, interrupts, state_rest,
            EXISTS (SELECT 1 FROM runs WHERE thread_id = ?1 AND status = 'running')
                OR EXISTS (SELECT 1 FROM runs WHERE thread_id = ?1 AND status = 'pending') AS in_flight
         FROM threads WHERE thread_id = ?1",
    );
    let row = row.bind(thread_id.0).fetch_one(&mut *db).await.context(operation)?;
    let [error, interrupts, rest] =
        ["error", "interrupts", "state_rest"].map(|column| columns::raw_or_null(&row, column));
    let settled = thread::settled(error?.as_ref(), interrupts?.as_ref(), rest?.as_ref());
    let status = if get(&row, "in_flight")? { ThreadStatus::Busy } else { settled };
    let update = sqlx::query("UPDATE threads SET status = ?, updated_at = ? WHERE thread_id = ?");
    let update = update.bind(status.as_str()).bind(now.as_micros()).bind(thread_id.0);
    update.execute(&mut *db).await.context(operation)?;
    promote(operation, db, thread_id, now).await
}

/// Removes a run and the checkpoints that it made.
pub(super) async fn roll_back(
    operation: &'static str,
    db: &mut SqliteConnection,
    thread_id: ThreadId,
    run_id: RunId,
) -> Result<()> {
    sqlx::query("DELETE FROM runs WHERE run_id = ?").bind(run_id.0).execute(&mut *db).await.context(operation)?;
    checkpoint_rows::remove_of_run(operation, db, thread_id, run_id).await
}

/// Ends a pending run with a cancel, and sets the error on the thread.
pub(super) async fn cancel_pending(
    operation: &'static str,
    db: &mut SqliteConnection,
    thread_id: ThreadId,
    run_id: RunId,
    request: &CancelRequest,
    now: Timestamp,
) -> Result<()> {
    outbox::tell_cancel(operation, db, run_id, request, now).await?;
    match request.action {
        CancelAction::Rollback => roll_back(operation, db, thread_id, run_id).await?,
        CancelAction::Interrupt => {
            let end = sqlx::query(
                "UPDATE runs SET status = 'interrupted', ready = 0, delayed = 0, updated_at = ? WHERE run_id = ?",
            );
            end.bind(now.as_micros()).bind(run_id.0).execute(&mut *db).await.context(operation)?;
        }
    }
    let show = sqlx::query("UPDATE threads SET error = ?, interrupts = coalesce(interrupts, ?) WHERE thread_id = ?");
    let error: RawJson = thread::error_json(&run::cancel_error(request));
    let show = show.bind(error.as_str()).bind(thread::empty_object().as_str()).bind(thread_id.0);
    show.execute(db).await.context(operation)?;
    Ok(())
}
