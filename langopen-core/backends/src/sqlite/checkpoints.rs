use async_trait::async_trait;
use futures::{FutureExt, TryStreamExt};
use langopen_core::error::Result;
use langopen_core::filter::contains_all;
use langopen_core::ids::{RunId, ThreadId};
use langopen_core::model::{Blob, CheckpointKey, CheckpointList, CheckpointTuple, NewCheckpoint, PendingWrites};
use langopen_core::queue::Lease;
use langopen_core::storage::Checkpoints;
use langopen_core::tenant::{Scope, Tenant};
use sqlx::{Connection, QueryBuilder, SqliteConnection};

use super::Sqlite;
use super::checkpoint_rows;
use super::columns::{self, Context, text};
use super::thread_rows::{is_visible, must_be_visible};
use super::writer::{run_together, together};
use crate::rules::run::lease_lost;

/// Deletes the stored latest state if it describes the checkpoint that changes.
const TOUCH: &str = "UPDATE threads SET state_checkpoint_id = NULL, state_rest = NULL WHERE thread_id = ? AND state_checkpoint_id = ?; ";

/// The maximum number of blobs or writes in one statement. SQLite accepts 32766 parameters.
const ROWS: usize = 1000;

/// Stores a checkpoint with all its blobs in one round trip.
async fn insert_checkpoint(db: &mut SqliteConnection, tenant: &Tenant, new: &NewCheckpoint) -> Result<()> {
    let mut sql = String::new();
    let root = new.checkpoint_ns.is_empty();
    if root {
        sql.push_str(TOUCH);
    }
    let blobs =
        "INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, tenant, kind, bytes) VALUES ";
    for chunk in new.blobs.chunks(ROWS) {
        push_rows(&mut sql, blobs, "(?, ?, ?, ?, ?, ?, ?)", chunk.len());
        sql.push_str(" ON CONFLICT DO NOTHING; ");
    }
    sql.push_str(
        "INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, tenant, parent_checkpoint_id, run_id,
            kind, channel_versions, metadata, bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET parent_checkpoint_id = excluded.parent_checkpoint_id, run_id = excluded.run_id, kind = excluded.kind,
            channel_versions = excluded.channel_versions, metadata = excluded.metadata, bytes = excluded.bytes",
    );
    let mut query = sqlx::query(together(db, &sql));
    if root {
        query = query.bind(new.thread_id.0).bind(&new.checkpoint_id);
    }
    for Blob { channel, version, kind, bytes } in &new.blobs {
        query = query.bind(new.thread_id.0).bind(&new.checkpoint_ns).bind(channel).bind(version);
        query = query.bind(tenant.as_str()).bind(kind).bind(&bytes[..]);
    }
    let query = query
        .bind(new.thread_id.0)
        .bind(&new.checkpoint_ns)
        .bind(&new.checkpoint_id)
        .bind(tenant.as_str())
        .bind(&new.parent_checkpoint_id)
        .bind(new.run_id.map(|id| id.0))
        .bind(&new.kind)
        .bind(text(&new.channel_versions)?)
        .bind(new.metadata.as_str())
        .bind(&new.bytes[..]);
    run_together("checkpoints.put", db, query).await.map(drop)
}

async fn insert_writes(db: &mut SqliteConnection, tenant: &Tenant, new: &PendingWrites) -> Result<()> {
    let mut sql = String::new();
    let root = new.checkpoint_ns.is_empty();
    if root {
        sql.push_str(TOUCH);
    }
    let writes = "INSERT INTO checkpoint_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, tenant, run_id,
        task_path, channel, kind, bytes) VALUES ";
    for chunk in new.writes.chunks(ROWS) {
        push_rows(&mut sql, writes, "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", chunk.len());
        sql.push_str(
            " ON CONFLICT DO UPDATE SET run_id = excluded.run_id, task_path = excluded.task_path,
                channel = excluded.channel, kind = excluded.kind, bytes = excluded.bytes WHERE excluded.idx < 0; ",
        );
    }
    if sql.is_empty() {
        return Ok(());
    }
    let mut query = sqlx::query(together(db, sql.trim_end_matches("; ")));
    if root {
        query = query.bind(new.thread_id.0).bind(&new.checkpoint_id);
    }
    for write in &new.writes {
        query = query
            .bind(new.thread_id.0)
            .bind(&new.checkpoint_ns)
            .bind(&new.checkpoint_id)
            .bind(&write.task_id)
            .bind(write.index)
            .bind(tenant.as_str())
            .bind(new.run_id.map(|id| id.0))
            .bind(&new.task_path)
            .bind(&write.channel)
            .bind(&write.kind)
            .bind(&write.bytes[..]);
    }
    run_together("checkpoints.put_writes", db, query).await.map(drop)
}

/// Appends `head` and the placeholders of `count` rows.
fn push_rows(sql: &mut String, head: &str, row: &str, count: usize) {
    sql.push_str(head);
    for n in 0..count {
        sql.push_str(if n == 0 { "" } else { ", " });
        sql.push_str(row);
    }
}

/// Refuses a write whose lease is lost. A write without a lease belongs to no run and is allowed. The writer task calls
/// this, so no other write can happen between the check and the write.
pub(super) async fn must_hold(operation: &'static str, db: &mut SqliteConnection, lease: Option<Lease>) -> Result<()> {
    let Some(Lease { run_id, attempt }) = lease else { return Ok(()) };
    let current = sqlx::query("SELECT 1 FROM runs WHERE run_id = ? AND attempt = ? AND status = 'running'");
    let current = current.bind(run_id.0).bind(attempt).fetch_optional(db).await.context(operation)?;
    current.map(drop).ok_or_else(|| lease_lost(operation, Lease { run_id, attempt }))
}

fn lease(run_id: Option<RunId>, attempt: Option<u32>) -> Option<Lease> {
    run_id.zip(attempt).map(|(run_id, attempt)| Lease { run_id, attempt })
}

#[async_trait]
impl Checkpoints for Sqlite {
    async fn checkpoint(&self, scope: &Scope, key: &CheckpointKey) -> Result<Option<CheckpointTuple>> {
        const OPERATION: &str = "checkpoints.get";
        // All reads of one transaction see the same snapshot.
        let mut db = self.readers().begin().await.context(OPERATION)?;
        if !is_visible(OPERATION, &mut *db, scope, key.thread_id).await? {
            return Ok(None);
        }
        // Two statements, because SQLite cannot use the index if one condition covers both cases: it would scan the
        // newer checkpoints to find an older one.
        let row = sqlx::query(match key.checkpoint_id {
            Some(_) => {
                "SELECT *, (SELECT checkpoint_id FROM checkpoints l WHERE l.thread_id = c.thread_id AND l.checkpoint_ns = c.checkpoint_ns
                    ORDER BY l.position DESC LIMIT 1) AS latest_id
                 FROM checkpoints c WHERE thread_id = ? AND checkpoint_ns = ? AND tenant = ? AND checkpoint_id = ?"
            }
            None => {
                "SELECT *, checkpoint_id AS latest_id FROM checkpoints
                 WHERE thread_id = ? AND checkpoint_ns = ? AND tenant = ? AND ? IS NULL ORDER BY position DESC LIMIT 1"
            }
        });
        let row = row.bind(key.thread_id.0).bind(&key.checkpoint_ns).bind(scope.tenant.as_str());
        match row.bind(&key.checkpoint_id).fetch_optional(&mut *db).await.context(OPERATION)? {
            Some(row) => {
                let latest_id = columns::get(&row, "latest_id")?;
                let tuple = checkpoint_rows::tuple(OPERATION, &mut db, &row).await?;
                Ok(Some(CheckpointTuple { latest_id, ..tuple }))
            }
            None => Ok(None),
        }
    }

    async fn list_checkpoints(
        &self,
        scope: &Scope,
        thread_id: ThreadId,
        list: &CheckpointList,
    ) -> Result<Vec<CheckpointTuple>> {
        const OPERATION: &str = "checkpoints.list";
        let mut db = self.readers().begin().await.context(OPERATION)?;
        if !is_visible(OPERATION, &mut *db, scope, thread_id).await? {
            return Ok(Vec::new());
        }
        let mut sql = QueryBuilder::<sqlx::Sqlite>::new("SELECT * FROM checkpoints WHERE thread_id = ");
        sql.push_bind(thread_id.0).push(" AND tenant = ").push_bind(scope.tenant.as_str());
        let conditions =
            [(" AND checkpoint_ns = ", &list.checkpoint_ns), (" AND checkpoint_id = ", &list.checkpoint_id)];
        for (condition, value) in conditions {
            if let Some(value) = value {
                sql.push(condition).push_bind(value.as_str());
            }
        }
        if let Some(before) = &list.before {
            let position = |sql: &mut QueryBuilder<sqlx::Sqlite>, condition| {
                sql.push("(SELECT min(position) FROM checkpoints WHERE thread_id = ").push_bind(thread_id.0);
                if let Some(ns) = &list.checkpoint_ns {
                    sql.push(" AND checkpoint_ns = ").push_bind(ns.as_str());
                }
                sql.push(condition).push_bind(before.as_str()).push("), ");
            };
            sql.push(" AND position < coalesce(");
            position(&mut sql, " AND checkpoint_id = ");
            position(&mut sql, " AND checkpoint_id > ");
            sql.push("9223372036854775807)");
        }
        sql.push(" ORDER BY position DESC");
        let limit = list.limit.map_or(usize::MAX, |limit| limit as usize);
        let mut rows = Vec::new();
        {
            let query = sql.build();
            let mut found = query.fetch(&mut *db);
            while rows.len() < limit
                && let Some(row) = found.try_next().await.context(OPERATION)?
            {
                if list.metadata.is_empty() || contains_all(&columns::json(&row, "metadata")?, &list.metadata) {
                    rows.push(row);
                }
            }
        }
        let mut tuples = Vec::with_capacity(rows.len());
        for row in &rows {
            tuples.push(checkpoint_rows::tuple(OPERATION, &mut db, row).await?);
        }
        Ok(tuples)
    }

    async fn put_checkpoint(&self, scope: &Scope, new: NewCheckpoint) -> Result<()> {
        const OPERATION: &str = "checkpoints.put";
        let scope = scope.clone();
        self.write_whole(OPERATION, move |db| {
            async move {
                must_be_visible(OPERATION, db, &scope, new.thread_id).await?;
                must_hold(OPERATION, db, lease(new.run_id, new.attempt)).await?;
                let there = "SELECT 1 FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?";
                let there = sqlx::query(there).bind(new.thread_id.0).bind(&new.checkpoint_ns).bind(&new.checkpoint_id);
                if there.fetch_optional(&mut *db).await.context(OPERATION)?.is_none() {
                    return insert_checkpoint(db, &scope.tenant, &new).await;
                }
                let mut part = db.begin().await.context(OPERATION)?;
                insert_checkpoint(&mut part, &scope.tenant, &new).await?;
                checkpoint_rows::prune_blobs(OPERATION, &mut part, new.thread_id).await?;
                part.commit().await.context(OPERATION)
            }
            .boxed()
        })
        .await
    }

    async fn put_writes(&self, scope: &Scope, writes: PendingWrites) -> Result<()> {
        const OPERATION: &str = "checkpoints.put_writes";
        let scope = scope.clone();
        self.write_whole(OPERATION, move |db| {
            async move {
                must_be_visible(OPERATION, db, &scope, writes.thread_id).await?;
                must_hold(OPERATION, db, lease(writes.run_id, writes.attempt)).await?;
                insert_writes(db, &scope.tenant, &writes).await
            }
            .boxed()
        })
        .await
    }

    async fn delete_checkpoints(&self, scope: &Scope, thread_id: ThreadId, lease: Option<Lease>) -> Result<()> {
        const OPERATION: &str = "checkpoints.delete";
        let scope = scope.clone();
        self.write(OPERATION, move |db| {
            async move {
                must_hold(OPERATION, db, lease).await?;
                match is_visible(OPERATION, &mut *db, &scope, thread_id).await? {
                    true => checkpoint_rows::remove_all(OPERATION, db, thread_id).await,
                    false => Ok(()),
                }
            }
            .boxed()
        })
        .await
    }
}
