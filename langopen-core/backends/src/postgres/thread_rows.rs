//! Queries on threads' rows that several modules share.

use langopen_core::clock::Timestamp;
use langopen_core::error::{Error, Result};
use langopen_core::ids::{RunId, ThreadId};
use langopen_core::json::RawJson;
use langopen_core::model::Thread;
use langopen_core::tenant::{Scope, Tenant};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::columns::{self, Context, THREAD, get, text};
use super::conditions::searchable;
use super::session::Db;
use crate::rules::documents::passes;
use crate::rules::thread::{StateChange, ThreadChange};

/// The lock on a thread's row until the transaction ends.
#[derive(Clone, Copy)]
pub(super) enum Lock {
    /// No lock.
    None,
    /// No other transaction changes the row, or decides which run of the thread is next.
    Change,
    /// Like [`Lock::Change`]. In addition, no other transaction stores checkpoints on the thread, so its blobs can be
    /// removed.
    Remove,
}

impl Lock {
    fn clause(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Change => "FOR NO KEY UPDATE",
            Self::Remove => "FOR UPDATE",
        }
    }
}

pub(super) fn uuids(ids: &[ThreadId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.0).collect()
}

/// Whether the scope shows the thread.
pub(super) async fn is_visible(
    operation: &'static str,
    db: &mut Db,
    scope: &Scope,
    id: ThreadId,
    lock: Lock,
) -> Result<bool> {
    let sql = format!("SELECT metadata FROM threads WHERE thread_id = $1 AND tenant = $2 {}", lock.clause());
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id.0).bind(scope.tenant.as_str());
    match row.fetch_optional(db).await.context(operation)? {
        None => Ok(false),
        Some(_) if scope.filter.is_none() => Ok(true),
        Some(row) => Ok(passes(scope, &columns::json(&row, "metadata")?)),
    }
}

/// Fails with `NotFound` for a thread that the scope does not show.
pub(super) async fn must_be_visible(
    operation: &'static str,
    db: &mut Db,
    scope: &Scope,
    id: ThreadId,
    lock: Lock,
) -> Result<()> {
    match is_visible(operation, db, scope, id, lock).await? {
        true => Ok(()),
        false => Err(not_found(operation, id)),
    }
}

pub(super) fn not_found(operation: &'static str, id: ThreadId) -> Error {
    Error::not_found(operation, format!("there is no thread {id}"))
}

/// The whole row, if the scope shows it.
pub(super) async fn visible(
    operation: &'static str,
    db: &mut Db,
    scope: &Scope,
    id: ThreadId,
    lock: Lock,
) -> Result<Option<Thread>> {
    let sql = format!("SELECT {THREAD} FROM threads t WHERE thread_id = $1 AND tenant = $2 {}", lock.clause());
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id.0).bind(scope.tenant.as_str());
    let row = row.fetch_optional(db).await.context(operation)?;
    let thread = row.as_ref().map(columns::thread).transpose()?;
    Ok(thread.filter(|thread| passes(scope, &thread.metadata)))
}

/// Locks threads in the order that every transaction uses. Skips threads that no longer exist.
pub(super) async fn lock(operation: &'static str, db: &mut Db, ids: &[ThreadId]) -> Result<()> {
    let lock = sqlx::query("SELECT 1 FROM threads WHERE thread_id = ANY ($1) ORDER BY thread_id FOR NO KEY UPDATE");
    lock.bind(uuids(ids)).execute(db).await.context(operation)?;
    Ok(())
}

/// Adds a row. Returns `false` if any tenant has a thread with this id.
pub(super) async fn insert(operation: &'static str, db: &mut Db, tenant: &Tenant, thread: &Thread) -> Result<bool> {
    let insert = sqlx::query(
        "INSERT INTO threads (thread_id, tenant, status, created_at, updated_at, state_updated_at, metadata, metadata_search, config,
            \"values\", ttl_strategy, ttl_minutes)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8::JSONB, $9, $10, $11, $12) ON CONFLICT DO NOTHING",
    )
    .bind(thread.thread_id.0)
    .bind(tenant.as_str())
    .bind(thread.status.as_str())
    .bind(thread.created_at.as_micros())
    .bind(thread.updated_at.as_micros())
    .bind(thread.state_updated_at.as_micros())
    .bind(text(&thread.metadata)?)
    .bind(searchable(&thread.metadata)?)
    .bind(text(&thread.config)?)
    .bind(thread.values.as_ref().map(RawJson::as_str))
    .bind(thread.ttl.map(|ttl| ttl.strategy.as_str()))
    .bind(thread.ttl.map(|ttl| ttl.minutes));
    Ok(insert.execute(db).await.context(operation)?.rows_affected() == 1)
}

/// Writes the columns that a patch may change.
pub(super) async fn set_patched(operation: &'static str, db: &mut Db, thread: &Thread) -> Result<()> {
    sqlx::query(
        "UPDATE threads SET metadata = $2, metadata_search = $3::JSONB, updated_at = $4, ttl_strategy = $5, ttl_minutes = $6
         WHERE thread_id = $1",
    )
    .bind(thread.thread_id.0)
    .bind(text(&thread.metadata)?)
    .bind(searchable(&thread.metadata)?)
    .bind(thread.updated_at.as_micros())
    .bind(thread.ttl.map(|ttl| ttl.strategy.as_str()))
    .bind(thread.ttl.map(|ttl| ttl.minutes))
    .execute(db)
    .await
    .context(operation)?;
    Ok(())
}

/// The parameters for a change of the latest state: whether it stays unchanged, and else its checkpoint and its rest.
pub(super) fn state_columns(change: &ThreadChange) -> (bool, Option<&str>, Option<&str>) {
    match &change.state {
        StateChange::Leave => (true, None, None),
        StateChange::Clear => (false, None, None),
        StateChange::Set { checkpoint_id, rest } => (false, Some(checkpoint_id.as_str()), Some(rest.as_str())),
    }
}

/// Sets the columns that the end of a run sets.
pub(super) async fn apply(
    operation: &'static str,
    db: &mut Db,
    id: ThreadId,
    change: &ThreadChange,
    now: Timestamp,
) -> Result<()> {
    let (leave, checkpoint_id, rest) = state_columns(change);
    sqlx::query(
        "UPDATE threads SET status = $2, updated_at = $3, state_updated_at = $3, error = $4, interrupts = $5,
            \"values\" = coalesce($6, \"values\"),
            state_checkpoint_id = CASE WHEN $7 THEN state_checkpoint_id ELSE $8 END,
            state_rest = CASE WHEN $7 THEN state_rest ELSE $9 END
         WHERE thread_id = $1",
    )
    .bind(id.0)
    .bind(change.status.as_str())
    .bind(now.as_micros())
    .bind(change.error.as_ref().map(RawJson::as_str))
    .bind(change.interrupts.as_str())
    .bind(change.values.as_ref().map(RawJson::as_str))
    .bind(leave)
    .bind(checkpoint_id)
    .bind(rest)
    .execute(db)
    .await
    .context(operation)?;
    Ok(())
}

/// The runs in flight on threads.
pub(super) async fn in_flight(operation: &'static str, db: &mut Db, ids: &[ThreadId]) -> Result<Vec<RunId>> {
    let runs = sqlx::query(
        "SELECT run_id FROM runs WHERE thread_id = ANY ($1) AND status = 'running'
         UNION ALL SELECT run_id FROM runs WHERE thread_id = ANY ($1) AND status = 'pending'",
    );
    let runs = runs.bind(uuids(ids)).fetch_all(db).await.context(operation)?;
    runs.iter().map(|row| get(row, "run_id").map(RunId)).collect()
}

/// Removes threads. The foreign keys remove everything that belongs to them.
pub(super) async fn remove(operation: &'static str, db: &mut Db, ids: &[ThreadId]) -> Result<()> {
    let remove = sqlx::query("DELETE FROM threads WHERE thread_id = ANY ($1)");
    remove.bind(uuids(ids)).execute(db).await.context(operation)?;
    Ok(())
}
