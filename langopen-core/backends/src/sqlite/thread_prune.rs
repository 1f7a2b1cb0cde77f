//! Deletes threads, or cuts their history.

use langopen_core::clock::Timestamp;
use langopen_core::error::Result;
use langopen_core::ids::ThreadId;
use langopen_core::json::JsonMap;
use langopen_core::model::{PruneStrategy, PrunedThreads};
use langopen_core::tenant::Scope;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::checkpoint_rows;
use super::columns::{self, Context, get, named, text};
use crate::rules::documents::passes;
use crate::rules::history::{self, Newest};

/// The maximum number of threads that one transaction prunes. It limits how long other writes wait.
pub(super) const AT_ONCE: usize = 100;

/// A condition on `threads t`.
const NOTHING_IN_FLIGHT: &str =
    "NOT EXISTS (SELECT 1 FROM runs r WHERE r.thread_id = t.thread_id AND r.status = 'running')
    AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.thread_id = t.thread_id AND r.status = 'pending')";

/// Selects the threads that the scope shows and that have no run in flight.
pub(super) async fn prunable(
    operation: &'static str,
    db: &mut SqliteConnection,
    scope: &Scope,
    ids: &str,
) -> Result<Vec<ThreadId>> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT thread_id, metadata FROM threads t
         WHERE tenant = ? AND thread_id IN (SELECT unhex(value) FROM json_each(?)) AND {NOTHING_IN_FLIGHT}"
    ));
    let rows = sqlx::query(sql).bind(scope.tenant.as_str()).bind(ids).fetch_all(db).await.context(operation)?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        if scope.filter.is_none() || passes(scope, &columns::json(row, "metadata")?) {
            found.push(ThreadId(get(row, "thread_id")?));
        }
    }
    Ok(found)
}

/// Expired threads without a run in flight.
pub(super) async fn expired(
    operation: &'static str,
    db: &mut SqliteConnection,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<(ThreadId, PruneStrategy)>> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT thread_id, ttl_strategy FROM threads t
         WHERE ttl_minutes IS NOT NULL AND expires_at <= ? AND {NOTHING_IN_FLIGHT} ORDER BY expires_at LIMIT ?"
    ));
    let rows = sqlx::query(sql).bind(now.as_micros()).bind(limit).fetch_all(db).await.context(operation)?;
    let thread =
        |row: &SqliteRow| Ok((ThreadId(get(row, "thread_id")?), named(row, "ttl_strategy", PruneStrategy::parse)?));
    rows.iter().map(thread).collect()
}

pub(super) async fn prune(
    operation: &'static str,
    db: &mut SqliteConnection,
    threads: Vec<(ThreadId, PruneStrategy)>,
    now: Timestamp,
) -> Result<PrunedThreads> {
    let mut done = PrunedThreads::default();
    for (id, strategy) in threads {
        match strategy {
            PruneStrategy::Delete => done.deleted.push(id),
            PruneStrategy::KeepLatest => {
                cut(operation, db, id, now).await?;
                done.cut.push(id);
            }
        }
    }
    let delete = sqlx::query("DELETE FROM threads WHERE thread_id IN (SELECT unhex(value) FROM json_each(?))");
    let deleted = columns::id_list(done.deleted.iter().map(|id| id.0))?;
    delete.bind(deleted).execute(db).await.context(operation)?;
    Ok(done)
}

/// Removes all checkpoints of a thread except the newest reachable ones and the ancestors that they are computed from.
async fn cut(operation: &'static str, db: &mut SqliteConnection, id: ThreadId, now: Timestamp) -> Result<()> {
    // With `max(position)`, SQLite takes the other columns of a group from the row with the highest position.
    let rows = sqlx::query(
        "SELECT checkpoint_ns, max(position), checkpoint_id, metadata FROM checkpoints
         WHERE thread_id = ? GROUP BY checkpoint_ns",
    );
    let rows = rows.bind(id.0).fetch_all(&mut *db).await.context(operation)?;
    let newest = |row: &SqliteRow| {
        Ok(Newest {
            checkpoint_ns: get(row, "checkpoint_ns")?,
            checkpoint_id: get(row, "checkpoint_id")?,
            metadata: columns::json(row, "metadata")?,
        })
    };
    let newest = rows.iter().map(newest).collect::<Result<Vec<_>>>()?;
    let mut kept = Vec::new();
    for each in history::reachable(newest) {
        kept.extend(ancestors(operation, db, id, &each).await?.into_iter().map(|id| (each.checkpoint_ns.clone(), id)));
        kept.push((each.checkpoint_ns, each.checkpoint_id));
    }
    let kept = text(&kept)?;
    for table in ["checkpoints", "checkpoint_writes"] {
        let sql = sqlx::AssertSqlSafe(format!(
            "DELETE FROM {table} WHERE thread_id = ? AND (checkpoint_ns, checkpoint_id) NOT IN
                (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?))"
        ));
        sqlx::query(sql).bind(id.0).bind(&kept).execute(&mut *db).await.context(operation)?;
    }
    checkpoint_rows::prune_blobs(operation, db, id).await?;
    let mark = sqlx::query("UPDATE threads SET pruned_at = ? WHERE thread_id = ?").bind(now.as_micros()).bind(id.0);
    mark.execute(db).await.context(operation)?;
    Ok(())
}

/// The ancestors that a checkpoint is computed from.
async fn ancestors(
    operation: &'static str,
    db: &mut SqliteConnection,
    id: ThreadId,
    newest: &Newest,
) -> Result<Vec<String>> {
    let (mut found, mut needed) = (Vec::new(), history::computed_channels(&newest.metadata));
    let mut child = newest.checkpoint_id.clone();
    while !needed.is_empty() {
        let parent = sqlx::query(
            "SELECT p.checkpoint_id, p.metadata FROM checkpoints c JOIN checkpoints p
                ON p.thread_id = c.thread_id AND p.checkpoint_ns = c.checkpoint_ns AND p.checkpoint_id = c.parent_checkpoint_id
             WHERE c.thread_id = ? AND c.checkpoint_ns = ? AND c.checkpoint_id = ?",
        );
        let parent = parent.bind(id.0).bind(&newest.checkpoint_ns).bind(&child);
        let Some(row) = parent.fetch_optional(&mut *db).await.context(operation)? else { break };
        child = row.try_get("checkpoint_id").context(operation)?;
        needed = history::computed_before(needed, &columns::json::<JsonMap>(&row, "metadata")?);
        // Without this check, a checkpoint that is its own ancestor would loop forever.
        if found.contains(&child) {
            break;
        }
        found.push(child.clone());
    }
    Ok(found)
}
