//! Queries on threads' rows that several modules share.

use langopen_core::clock::Timestamp;
use langopen_core::error::{Error, Result};
use langopen_core::ids::{RunId, ThreadId};
use langopen_core::json::RawJson;
use langopen_core::model::Thread;
use langopen_core::tenant::{Scope, Tenant};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteExecutor};
use sqlx::{Sqlite, SqliteConnection};

use super::columns::{self, Context, get, text};
use crate::rules::documents::passes;
use crate::rules::thread::{StateChange, ThreadChange};

/// Whether the scope shows the thread.
pub(super) async fn is_visible<'e>(
    operation: &'static str,
    db: impl SqliteExecutor<'e>,
    scope: &Scope,
    id: ThreadId,
) -> Result<bool> {
    let row = sqlx::query("SELECT metadata FROM threads WHERE thread_id = ? AND tenant = ?");
    let row = row.bind(id.0).bind(scope.tenant.as_str()).fetch_optional(db).await.context(operation)?;
    match row {
        None => Ok(false),
        Some(_) if scope.filter.is_none() => Ok(true),
        Some(row) => Ok(passes(scope, &columns::json(&row, "metadata")?)),
    }
}

/// Fails with `NotFound` for a thread that the scope does not show.
pub(super) async fn must_be_visible(
    operation: &'static str,
    db: &mut SqliteConnection,
    scope: &Scope,
    id: ThreadId,
) -> Result<()> {
    match is_visible(operation, db, scope, id).await? {
        true => Ok(()),
        false => Err(not_found(operation, id)),
    }
}

pub(super) fn not_found(operation: &'static str, id: ThreadId) -> Error {
    Error::not_found(operation, format!("there is no thread {id}"))
}

/// The whole row, if the scope shows it.
pub(super) async fn visible<'e>(
    operation: &'static str,
    db: impl SqliteExecutor<'e>,
    scope: &Scope,
    id: ThreadId,
) -> Result<Option<Thread>> {
    let row = sqlx::query("SELECT * FROM threads WHERE thread_id = ? AND tenant = ?");
    let row = row.bind(id.0).bind(scope.tenant.as_str()).fetch_optional(db).await.context(operation)?;
    let thread = row.as_ref().map(columns::thread).transpose()?;
    Ok(thread.filter(|thread| passes(scope, &thread.metadata)))
}

/// Whether any tenant has a thread with this id.
pub(super) async fn exists(operation: &'static str, db: &mut SqliteConnection, id: ThreadId) -> Result<bool> {
    let row = sqlx::query("SELECT 1 FROM threads WHERE thread_id = ?").bind(id.0);
    Ok(row.fetch_optional(db).await.context(operation)?.is_some())
}

pub(super) async fn insert(
    operation: &'static str,
    db: &mut SqliteConnection,
    tenant: &Tenant,
    thread: &Thread,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO threads (thread_id, tenant, status, created_at, updated_at, state_updated_at, metadata, config, \"values\",
            ttl_strategy, ttl_minutes)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(thread.thread_id.0)
    .bind(tenant.as_str())
    .bind(thread.status.as_str())
    .bind(thread.created_at.as_micros())
    .bind(thread.updated_at.as_micros())
    .bind(thread.state_updated_at.as_micros())
    .bind(text(&thread.metadata)?)
    .bind(text(&thread.config)?)
    .bind(thread.values.as_ref().map(RawJson::as_str))
    .bind(thread.ttl.map(|ttl| ttl.strategy.as_str()))
    .bind(thread.ttl.map(|ttl| ttl.minutes))
    .execute(db)
    .await
    .context(operation)?;
    Ok(())
}

/// Writes the columns that a patch may change.
pub(super) async fn set_patched(operation: &'static str, db: &mut SqliteConnection, thread: &Thread) -> Result<()> {
    let update = sqlx::query(
        "UPDATE threads SET metadata = ?, updated_at = ?, ttl_strategy = ?, ttl_minutes = ? WHERE thread_id = ?",
    );
    let update = update.bind(text(&thread.metadata)?).bind(thread.updated_at.as_micros());
    let update = update.bind(thread.ttl.map(|ttl| ttl.strategy.as_str())).bind(thread.ttl.map(|ttl| ttl.minutes));
    update.bind(thread.thread_id.0).execute(db).await.context(operation)?;
    Ok(())
}

/// Sets the columns that the end of a run sets; see [`bind_change`].
pub(super) const APPLY: &str =
    "UPDATE threads SET status = ?, updated_at = ?, state_updated_at = ?, error = ?, interrupts = ?,
        \"values\" = coalesce(?, \"values\"),
        state_checkpoint_id = iif(?, state_checkpoint_id, ?), state_rest = iif(?, state_rest, ?)
     WHERE thread_id = ?";

/// Binds the parameters of [`APPLY`].
pub(super) fn bind_change<'q>(
    query: Query<'q, Sqlite, SqliteArguments>,
    id: ThreadId,
    change: &'q ThreadChange,
    now: Timestamp,
) -> Query<'q, Sqlite, SqliteArguments> {
    let (leave, checkpoint_id, rest) = match &change.state {
        StateChange::Leave => (true, None, None),
        StateChange::Clear => (false, None, None),
        StateChange::Set { checkpoint_id, rest } => (false, Some(checkpoint_id.as_str()), Some(rest.as_str())),
    };
    query
        .bind(change.status.as_str())
        .bind(now.as_micros())
        .bind(now.as_micros())
        .bind(change.error.as_ref().map(RawJson::as_str))
        .bind(change.interrupts.as_str())
        .bind(change.values.as_ref().map(RawJson::as_str))
        .bind(leave)
        .bind(checkpoint_id)
        .bind(leave)
        .bind(rest)
        .bind(id.0)
}

/// Sets the columns that the end of a run sets.
pub(super) async fn apply(
    operation: &'static str,
    db: &mut SqliteConnection,
    id: ThreadId,
    change: &ThreadChange,
    now: Timestamp,
) -> Result<()> {
    bind_change(sqlx::query(APPLY), id, change, now).execute(db).await.context(operation)?;
    Ok(())
}

/// The runs in flight on a thread.
pub(super) async fn in_flight(operation: &'static str, db: &mut SqliteConnection, id: ThreadId) -> Result<Vec<RunId>> {
    let runs = sqlx::query(
        "SELECT run_id FROM runs WHERE thread_id = ?1 AND status = 'running'
         UNION ALL SELECT run_id FROM runs WHERE thread_id = ?1 AND status = 'pending'",
    );
    let runs = runs.bind(id.0).fetch_all(db).await.context(operation)?;
    runs.iter().map(|row| get(row, "run_id").map(RunId)).collect()
}

/// Removes a thread. The foreign keys remove everything that belongs to it.
pub(super) async fn remove(operation: &'static str, db: &mut SqliteConnection, id: ThreadId) -> Result<()> {
    sqlx::query("DELETE FROM threads WHERE thread_id = ?").bind(id.0).execute(db).await.context(operation)?;
    Ok(())
}
