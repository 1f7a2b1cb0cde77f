use async_trait::async_trait;
use futures::TryStreamExt;
use langopen_core::error::{Error, Result};
use langopen_core::filter::contains_all;
use langopen_core::ids::{RunId, ThreadId};
use langopen_core::model::{CheckpointKey, CheckpointList, CheckpointTuple, NewCheckpoint, PendingWrites};
use langopen_core::queue::Lease;
use langopen_core::storage::Checkpoints;
use langopen_core::tenant::Scope;
use sqlx::{AssertSqlSafe, QueryBuilder};

use super::Postgres;
use super::checkpoint_rows::{self, BELONGINGS, TUPLE};
use super::columns::{self, Context, get};
use super::session::{Db, transaction};
use super::thread_rows::{self, Lock, not_found};
use crate::rules::run::lease_lost;

/// Stores a checkpoint with its blobs in one statement. Returns no row if the thread does not exist or the lease is
/// lost. Otherwise returns whether the checkpoint is new; an existing checkpoint stays unchanged.
///
/// The lock on the thread prevents its deletion and the removal of its blobs. The lock on the run prevents a new claim
/// until this transaction is committed. If the stored latest state describes this checkpoint, it is deleted.
const PUT: &str = "
    WITH there AS MATERIALIZED (SELECT thread_id FROM threads WHERE thread_id = $1 AND tenant = $4 FOR KEY SHARE),
    leased AS MATERIALIZED (
        SELECT there.thread_id FROM there, runs r WHERE r.run_id = $6 AND r.attempt = $16 AND r.status = 'running' FOR KEY SHARE OF r),
    t AS MATERIALIZED (SELECT thread_id FROM there WHERE $16::BIGINT IS NULL UNION ALL SELECT thread_id FROM leased),
    blobs AS (
        INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, tenant, kind, bytes)
        SELECT t.thread_id, $2, b.channel, b.version, $4, b.kind, b.bytes
        FROM t, unnest($11::TEXT[], $12::TEXT[], $13::TEXT[], $14::BYTEA[]) AS b (channel, version, kind, bytes)
        ON CONFLICT DO NOTHING),
    put AS (
        INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, tenant, parent_checkpoint_id, run_id, kind, channels, versions,
            metadata, bytes)
        SELECT t.thread_id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $15 FROM t
        ON CONFLICT DO NOTHING RETURNING 1),
    touched AS (
        UPDATE threads SET state_checkpoint_id = NULL, state_rest = NULL
        WHERE thread_id = (SELECT thread_id FROM t) AND state_checkpoint_id = $3 AND $2 = '')
    SELECT EXISTS (SELECT 1 FROM put) AS new FROM t";

const REPLACE: &str = "UPDATE checkpoints SET parent_checkpoint_id = $4, run_id = $5, kind = $6, channels = $7, versions = $8, metadata = $9, bytes = $10
     WHERE thread_id = $1 AND checkpoint_ns = $2 AND checkpoint_id = $3";

/// Stores writes in one statement. Returns no row if the thread does not exist or the lease is lost. Takes the same
/// locks as [`PUT`].
const PUT_WRITES: &str = "
    WITH there AS MATERIALIZED (SELECT thread_id FROM threads WHERE thread_id = $1 AND tenant = $4 FOR KEY SHARE),
    leased AS MATERIALIZED (
        SELECT there.thread_id FROM there, runs r WHERE r.run_id = $5 AND r.attempt = $12 AND r.status = 'running' FOR KEY SHARE OF r),
    t AS MATERIALIZED (SELECT thread_id FROM there WHERE $12::BIGINT IS NULL UNION ALL SELECT thread_id FROM leased),
    put AS (
        INSERT INTO checkpoint_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, tenant, run_id, task_path, channel, kind,
            bytes)
        SELECT t.thread_id, $2, $3, w.task_id, w.idx, $4, $5, $6, w.channel, w.kind, w.bytes
        FROM t, unnest($7::TEXT[], $8::BIGINT[], $9::TEXT[], $10::TEXT[], $11::BYTEA[]) AS w (task_id, idx, channel, kind, bytes)
        ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx) DO UPDATE SET run_id = excluded.run_id,
            task_path = excluded.task_path, channel = excluded.channel, kind = excluded.kind, bytes = excluded.bytes
            WHERE excluded.idx < 0),
    touched AS (
        UPDATE threads SET state_checkpoint_id = NULL, state_rest = NULL
        WHERE thread_id = (SELECT thread_id FROM t) AND state_checkpoint_id = $3 AND $2 = '')
    SELECT 1 FROM t";

/// The id of the latest checkpoint in the namespace of `c`.
const LATEST_ID: &str = "(SELECT l.checkpoint_id FROM checkpoints l
    WHERE l.thread_id = c.thread_id AND l.checkpoint_ns = c.checkpoint_ns ORDER BY l.position DESC LIMIT 1)";

/// Runs [`PUT`] and returns whether the checkpoint is new.
async fn put(operation: &'static str, db: &mut Db, scope: &Scope, new: &NewCheckpoint) -> Result<bool> {
    let (channels, versions): (Vec<_>, Vec<_>) =
        new.channel_versions.iter().map(|(channel, version)| (channel.as_str(), version.as_str())).unzip();
    let row = sqlx::query(PUT)
        .bind(new.thread_id.0)
        .bind(&new.checkpoint_ns)
        .bind(&new.checkpoint_id)
        .bind(scope.tenant.as_str())
        .bind(&new.parent_checkpoint_id)
        .bind(new.run_id.map(|id| id.0))
        .bind(&new.kind)
        .bind(channels)
        .bind(versions)
        .bind(new.metadata.as_str())
        .bind(new.blobs.iter().map(|blob| blob.channel.as_str()).collect::<Vec<_>>())
        .bind(new.blobs.iter().map(|blob| blob.version.as_str()).collect::<Vec<_>>())
        .bind(new.blobs.iter().map(|blob| blob.kind.as_str()).collect::<Vec<_>>())
        .bind(new.blobs.iter().map(|blob| &blob.bytes[..]).collect::<Vec<_>>())
        .bind(&new.bytes[..])
        .bind(new.attempt.map(i64::from));
    match row.fetch_optional(&mut *db).await.context(operation)? {
        Some(row) => get(&row, "new"),
        None => Err(refusal(operation, db, scope, new.thread_id, new.run_id.zip(new.attempt)).await?),
    }
}

/// The error that explains why a statement stored nothing.
async fn refusal(
    operation: &'static str,
    db: &mut Db,
    scope: &Scope,
    thread_id: ThreadId,
    attempt: Option<(RunId, u32)>,
) -> Result<Error> {
    let there = sqlx::query("SELECT 1 FROM threads WHERE thread_id = $1 AND tenant = $2");
    let there = there.bind(thread_id.0).bind(scope.tenant.as_str()).fetch_optional(db).await.context(operation)?;
    Ok(match (there, attempt) {
        (Some(_), Some((run_id, attempt))) => lease_lost(operation, Lease { run_id, attempt }),
        _ => not_found(operation, thread_id),
    })
}

/// Refuses a write whose lease is lost, and prevents a new claim of the run until the transaction ends. A write without
/// a lease belongs to no run and is allowed.
async fn must_hold(operation: &'static str, db: &mut Db, lease: Option<Lease>) -> Result<()> {
    let Some(lease) = lease else { return Ok(()) };
    let held = "SELECT 1 FROM runs WHERE run_id = $1 AND attempt = $2 AND status = 'running' FOR KEY SHARE";
    let held = sqlx::query(held).bind(lease.run_id.0).bind(i64::from(lease.attempt));
    let held = held.fetch_optional(db).await.context(operation)?;
    held.map(drop).ok_or_else(|| lease_lost(operation, lease))
}

/// Replaces an existing checkpoint.
async fn replace(operation: &'static str, db: &mut Db, new: &NewCheckpoint) -> Result<()> {
    let (channels, versions): (Vec<_>, Vec<_>) =
        new.channel_versions.iter().map(|(channel, version)| (channel.as_str(), version.as_str())).unzip();
    let replace = sqlx::query(REPLACE)
        .bind(new.thread_id.0)
        .bind(&new.checkpoint_ns)
        .bind(&new.checkpoint_id)
        .bind(&new.parent_checkpoint_id)
        .bind(new.run_id.map(|id| id.0))
        .bind(&new.kind)
        .bind(channels)
        .bind(versions)
        .bind(new.metadata.as_str())
        .bind(&new.bytes[..]);
    replace.execute(&mut *db).await.context(operation)?;
    checkpoint_rows::prune_blobs(operation, db, new.thread_id).await
}

#[async_trait]
impl Checkpoints for Postgres {
    async fn checkpoint(&self, scope: &Scope, key: &CheckpointKey) -> Result<Option<CheckpointTuple>> {
        const OPERATION: &str = "checkpoints.get";
        let mut db = self.session(OPERATION).await?;
        if scope.filter.is_some()
            && !thread_rows::is_visible(OPERATION, &mut db, scope, key.thread_id, Lock::None).await?
        {
            return Ok(None);
        }
        let (latest_id, condition, order) = match key.checkpoint_id {
            Some(_) => (LATEST_ID, "AND checkpoint_id = $4", ""),
            None => ("c.checkpoint_id", "", "ORDER BY position DESC LIMIT 1"),
        };
        let sql = format!(
            "SELECT {TUPLE}, {latest_id} AS latest_id FROM (
                SELECT thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, kind, channels, versions, metadata, bytes
                FROM checkpoints WHERE thread_id = $1 AND checkpoint_ns = $2 AND tenant = $3
                {condition} {order}) c {BELONGINGS}"
        );
        let row = sqlx::query(AssertSqlSafe(sql));
        let mut row = row.bind(key.thread_id.0).bind(&key.checkpoint_ns).bind(scope.tenant.as_str());
        if let Some(checkpoint_id) = &key.checkpoint_id {
            row = row.bind(checkpoint_id);
        }
        let row = row.fetch_optional(&mut *db).await.context(OPERATION)?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(CheckpointTuple { latest_id: get(&row, "latest_id")?, ..checkpoint_rows::tuple(&row)? }))
    }

    async fn list_checkpoints(
        &self,
        scope: &Scope,
        thread_id: ThreadId,
        list: &CheckpointList,
    ) -> Result<Vec<CheckpointTuple>> {
        const OPERATION: &str = "checkpoints.list";
        let mut db = self.session(OPERATION).await?;
        if !thread_rows::is_visible(OPERATION, &mut db, scope, thread_id, Lock::None).await? {
            return Ok(Vec::new());
        }
        let mut sql = QueryBuilder::<sqlx::Postgres>::new(
            "SELECT checkpoint_ns, checkpoint_id, metadata FROM checkpoints WHERE thread_id = ",
        );
        sql.push_bind(thread_id.0).push(" AND tenant = ").push_bind(scope.tenant.as_str());
        let conditions =
            [(" AND checkpoint_ns = ", &list.checkpoint_ns), (" AND checkpoint_id = ", &list.checkpoint_id)];
        for (condition, value) in conditions {
            if let Some(value) = value {
                sql.push(condition).push_bind(value.as_str());
            }
        }
        if let Some(before) = &list.before {
            let position = |sql: &mut QueryBuilder<sqlx::Postgres>, condition| {
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
        if let Some(limit) = list.limit.filter(|_| list.metadata.is_empty()) {
            sql.push(" LIMIT ").push_bind(i64::from(limit));
        }
        let limit = list.limit.map_or(usize::MAX, |limit| limit as usize);
        let (mut namespaces, mut ids) = (Vec::<String>::new(), Vec::<String>::new());
        {
            let query = sql.build();
            let mut found = query.fetch(&mut *db);
            while ids.len() < limit
                && let Some(row) = found.try_next().await.context(OPERATION)?
            {
                if list.metadata.is_empty() || contains_all(&columns::json(&row, "metadata")?, &list.metadata) {
                    namespaces.push(get(&row, "checkpoint_ns")?);
                    ids.push(get(&row, "checkpoint_id")?);
                }
            }
        }
        let sql = format!(
            "SELECT {TUPLE} FROM unnest($2::TEXT[], $3::TEXT[]) WITH ORDINALITY AS k (ns, id, place)
             JOIN checkpoints c ON c.thread_id = $1 AND c.checkpoint_ns = k.ns AND c.checkpoint_id = k.id {BELONGINGS} ORDER BY k.place"
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(thread_id.0).bind(namespaces).bind(ids);
        let rows = rows.fetch_all(&mut *db).await.context(OPERATION)?;
        rows.iter().map(checkpoint_rows::tuple).collect()
    }

    async fn put_checkpoint(&self, scope: &Scope, new: NewCheckpoint) -> Result<()> {
        const OPERATION: &str = "checkpoints.put";
        if scope.filter.is_none() {
            // Most checkpoints are new, so first try one statement without a transaction.
            let mut db = self.session(OPERATION).await?;
            if put(OPERATION, &mut db, scope, &new).await? {
                return db.done(OPERATION).await;
            }
        }
        transaction!(self, OPERATION, |db| {
            thread_rows::must_be_visible(OPERATION, db, scope, new.thread_id, Lock::Remove).await?;
            if !put(OPERATION, db, scope, &new).await? {
                replace(OPERATION, db, &new).await?;
            }
            Ok(())
        })
        .await
    }

    async fn put_writes(&self, scope: &Scope, new: PendingWrites) -> Result<()> {
        const OPERATION: &str = "checkpoints.put_writes";
        let mut db = self.session(OPERATION).await?;
        if scope.filter.is_some() {
            thread_rows::must_be_visible(OPERATION, &mut db, scope, new.thread_id, Lock::None).await?;
        }
        let put = sqlx::query(PUT_WRITES)
            .bind(new.thread_id.0)
            .bind(&new.checkpoint_ns)
            .bind(&new.checkpoint_id)
            .bind(scope.tenant.as_str())
            .bind(new.run_id.map(|id| id.0))
            .bind(&new.task_path)
            .bind(new.writes.iter().map(|write| write.task_id.as_str()).collect::<Vec<_>>())
            .bind(new.writes.iter().map(|write| write.index).collect::<Vec<_>>())
            .bind(new.writes.iter().map(|write| write.channel.as_str()).collect::<Vec<_>>())
            .bind(new.writes.iter().map(|write| write.kind.as_str()).collect::<Vec<_>>())
            .bind(new.writes.iter().map(|write| &write.bytes[..]).collect::<Vec<_>>())
            .bind(new.attempt.map(i64::from));
        match put.fetch_optional(&mut *db).await.context(OPERATION)? {
            Some(_) => db.done(OPERATION).await,
            None => Err(refusal(OPERATION, &mut db, scope, new.thread_id, new.run_id.zip(new.attempt)).await?),
        }
    }

    async fn delete_checkpoints(&self, scope: &Scope, thread_id: ThreadId, lease: Option<Lease>) -> Result<()> {
        const OPERATION: &str = "checkpoints.delete";
        transaction!(self, OPERATION, |db| {
            let visible = thread_rows::is_visible(OPERATION, db, scope, thread_id, Lock::Remove).await?;
            must_hold(OPERATION, db, lease).await?;
            if visible {
                checkpoint_rows::remove_all(OPERATION, db, thread_id).await?;
            }
            Ok(())
        })
        .await
    }
}
