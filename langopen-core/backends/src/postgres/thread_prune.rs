//! Deletes threads, or cuts their history.

use langopen_core::clock::Timestamp;
use langopen_core::error::Result;
use langopen_core::ids::ThreadId;
use langopen_core::json::JsonMap;
use langopen_core::model::{PruneStrategy, PrunedThreads};
use langopen_core::tenant::Scope;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::checkpoint_rows;
use super::columns::{self, Context, get, named};
use super::session::Db;
use super::thread_rows::{self, uuids};
use crate::rules::documents::passes;
use crate::rules::history::{self, Newest};

/// The maximum number of threads that one transaction prunes. It limits how long other writes wait.
pub(super) const AT_ONCE: usize = 100;

/// A condition on `threads t`.
const NOTHING_IN_FLIGHT: &str =
    "NOT EXISTS (SELECT 1 FROM runs r WHERE r.thread_id = t.thread_id AND r.status IN ('pending', 'running'))";

/// Locks and returns the threads that the scope shows and that have no run in flight.
pub(super) async fn prunable(
    operation: &'static str,
    db: &mut Db,
    scope: &Scope,
    ids: &[ThreadId],
) -> Result<Vec<ThreadId>> {
    let lock = "SELECT 1 FROM threads WHERE tenant = $1 AND thread_id = ANY ($2) ORDER BY thread_id FOR UPDATE";
    let lock = sqlx::query(lock).bind(scope.tenant.as_str()).bind(uuids(ids));
    lock.execute(&mut *db).await.context(operation)?;
    // A second statement looks for runs in flight, after the threads are locked.
    let sql = format!(
        "SELECT thread_id, metadata FROM threads t WHERE tenant = $1 AND thread_id = ANY ($2) AND {NOTHING_IN_FLIGHT}"
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(scope.tenant.as_str()).bind(uuids(ids));
    let rows = rows.fetch_all(db).await.context(operation)?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        if scope.filter.is_none() || passes(scope, &columns::json(row, "metadata")?) {
            found.push(ThreadId(get(row, "thread_id")?));
        }
    }
    Ok(found)
}

/// Locks and returns expired threads without a run in flight. Skips threads that another process has locked; the next
/// sweep prunes those.
pub(super) async fn expired(
    operation: &'static str,
    db: &mut Db,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<(ThreadId, PruneStrategy)>> {
    let lock = format!(
        "SELECT thread_id FROM threads t WHERE ttl_minutes IS NOT NULL AND expires_at <= $1 AND {NOTHING_IN_FLIGHT}
         ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED"
    );
    let locked = sqlx::query_scalar::<_, Uuid>(AssertSqlSafe(lock)).bind(now.as_micros()).bind(i64::from(limit));
    let locked = locked.fetch_all(&mut *db).await.context(operation)?;
    let sql = format!(
        "SELECT thread_id, ttl_strategy FROM threads t WHERE thread_id = ANY ($1) AND {NOTHING_IN_FLIGHT} ORDER BY expires_at"
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(locked).fetch_all(db).await.context(operation)?;
    let thread =
        |row: &PgRow| Ok((ThreadId(get(row, "thread_id")?), named(row, "ttl_strategy", PruneStrategy::parse)?));
    rows.iter().map(thread).collect()
}

pub(super) async fn prune(
    operation: &'static str,
    db: &mut Db,
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
    thread_rows::remove(operation, db, &done.deleted).await?;
    Ok(done)
}

/// Removes all checkpoints of a thread except the newest reachable ones and the ancestors that they are computed from.
async fn cut(operation: &'static str, db: &mut Db, id: ThreadId, now: Timestamp) -> Result<()> {
    let rows = sqlx::query(
        "SELECT DISTINCT ON (checkpoint_ns) checkpoint_ns, checkpoint_id, metadata FROM checkpoints
         WHERE thread_id = $1 ORDER BY checkpoint_ns, position DESC",
    );
    let rows = rows.bind(id.0).fetch_all(&mut *db).await.context(operation)?;
    let newest = |row: &PgRow| {
        Ok(Newest {
            checkpoint_ns: get(row, "checkpoint_ns")?,
            checkpoint_id: get(row, "checkpoint_id")?,
            metadata: columns::json(row, "metadata")?,
        })
    };
    let newest = rows.iter().map(newest).collect::<Result<Vec<_>>>()?;
    let (mut namespaces, mut ids) = (Vec::new(), Vec::new());
    for each in history::reachable(newest) {
        for kept in ancestors(operation, db, id, &each).await? {
            namespaces.push(each.checkpoint_ns.clone());
            ids.push(kept);
        }
        namespaces.push(each.checkpoint_ns);
        ids.push(each.checkpoint_id);
    }
    for table in ["checkpoints", "checkpoint_writes"] {
        let sql = format!(
            "DELETE FROM {table} WHERE thread_id = $1 AND (checkpoint_ns, checkpoint_id) NOT IN
                (SELECT ns, id FROM unnest($2::TEXT[], $3::TEXT[]) AS kept (ns, id))"
        );
        let delete = sqlx::query(AssertSqlSafe(sql)).bind(id.0).bind(&namespaces).bind(&ids);
        delete.execute(&mut *db).await.context(operation)?;
    }
    checkpoint_rows::prune_blobs(operation, db, id).await?;
    let mark = sqlx::query("UPDATE threads SET pruned_at = $1 WHERE thread_id = $2").bind(now.as_micros()).bind(id.0);
    mark.execute(db).await.context(operation)?;
    Ok(())
}

/// The ancestors that a checkpoint is computed from.
async fn ancestors(operation: &'static str, db: &mut Db, id: ThreadId, newest: &Newest) -> Result<Vec<String>> {
    let (mut found, mut needed) = (Vec::new(), history::computed_channels(&newest.metadata));
    let mut child = newest.checkpoint_id.clone();
    while !needed.is_empty() {
        let parent = sqlx::query(
            "SELECT p.checkpoint_id, p.metadata FROM checkpoints c JOIN checkpoints p
                ON p.thread_id = c.thread_id AND p.checkpoint_ns = c.checkpoint_ns AND p.checkpoint_id = c.parent_checkpoint_id
             WHERE c.thread_id = $1 AND c.checkpoint_ns = $2 AND c.checkpoint_id = $3",
        );
        let parent = parent.bind(id.0).bind(&newest.checkpoint_ns).bind(&child);
        let Some(row) = parent.fetch_optional(&mut *db).await.context(operation)? else { break };
        child = get(&row, "checkpoint_id")?;
        needed = history::computed_before(needed, &columns::json::<JsonMap>(&row, "metadata")?);
        // Without this check, a checkpoint that is its own ancestor would loop forever.
        if found.contains(&child) {
            break;
        }
        found.push(child.clone());
    }
    Ok(found)
}
