//! Reading, copying and removing the rows of checkpoints, blobs and writes.

use langopen_core::error::Result;
use langopen_core::ids::ThreadId;
use langopen_core::json::{RawJson, RawObject};
use langopen_core::model::{ChannelValue, CheckpointTuple, PendingWrite, ThreadStorage, Volume};
use sqlx::postgres::{PgHasArrayType, PgRow};
use sqlx::{Decode, Postgres, Type};
use uuid::Uuid;

use super::columns::{self, Context, get};
use super::session::Db;

/// The columns that [`tuple`] reads.
pub(super) const TUPLE: &str =
    "c.thread_id, c.checkpoint_ns, c.checkpoint_id, c.parent_checkpoint_id, c.kind, c.bytes, c.metadata,
    v.channels AS value_channels, v.kinds AS value_kinds, v.bytes AS value_bytes,
    w.task_ids, w.indexes, w.channels AS write_channels, w.kinds AS write_kinds, w.bytes AS write_bytes";

/// Joins to `checkpoints c` that [`tuple`] reads: the checkpoint's channel values and its writes, each as arrays.
pub(super) const BELONGINGS: &str = "
    CROSS JOIN LATERAL (
        SELECT array_agg(b.channel ORDER BY n.place) AS channels, array_agg(b.kind ORDER BY n.place) AS kinds,
            array_agg(b.bytes ORDER BY n.place) AS bytes
        FROM unnest(c.channels, c.versions) WITH ORDINALITY AS n (channel, version, place) JOIN checkpoint_blobs b
            ON b.thread_id = c.thread_id AND b.checkpoint_ns = c.checkpoint_ns AND b.channel = n.channel AND b.version = n.version
        WHERE b.kind <> 'empty') v
    CROSS JOIN LATERAL (
        SELECT array_agg(o.task_id) AS task_ids, array_agg(o.idx) AS indexes, array_agg(o.channel) AS channels,
            array_agg(o.kind) AS kinds, array_agg(o.bytes) AS bytes
        FROM (SELECT task_id, idx, channel, kind, bytes FROM checkpoint_writes o
            WHERE o.thread_id = c.thread_id AND o.checkpoint_ns = c.checkpoint_ns AND o.checkpoint_id = c.checkpoint_id
            ORDER BY task_path, task_id, idx) o) w";

/// A checkpoint with its channel values and writes.
pub(super) fn tuple(row: &PgRow) -> Result<CheckpointTuple> {
    let channels = list::<String>(row, "value_channels")?.into_iter();
    let values = channels.zip(list::<String>(row, "value_kinds")?).zip(list::<Vec<u8>>(row, "value_bytes")?);
    let tasks = list::<String>(row, "task_ids")?.into_iter().zip(list::<i64>(row, "indexes")?);
    let writes = tasks.zip(list::<String>(row, "write_channels")?).zip(list::<String>(row, "write_kinds")?);
    Ok(CheckpointTuple {
        thread_id: ThreadId(get(row, "thread_id")?),
        checkpoint_ns: get(row, "checkpoint_ns")?,
        checkpoint_id: get(row, "checkpoint_id")?,
        parent_checkpoint_id: get(row, "parent_checkpoint_id")?,
        latest_id: None,
        kind: get(row, "kind")?,
        bytes: get::<Vec<u8>>(row, "bytes")?.into(),
        metadata: columns::raw(row, "metadata")?,
        channel_values: values
            .map(|((channel, kind), bytes)| ChannelValue { channel, kind, bytes: bytes.into() })
            .collect(),
        pending_writes: writes
            .zip(list::<Vec<u8>>(row, "write_bytes")?)
            .map(|((((task_id, index), channel), kind), bytes)| PendingWrite {
                task_id,
                index,
                channel,
                kind,
                bytes: bytes.into(),
            })
            .collect(),
    })
}

/// Reads an array. Postgres aggregates zero rows to NULL, which becomes an empty list.
fn list<T>(row: &PgRow, column: &str) -> Result<Vec<T>>
where
    T: for<'r> Decode<'r, Postgres> + Type<Postgres> + PgHasArrayType,
{
    get::<Option<Vec<T>>>(row, column).map(Option::unwrap_or_default)
}

/// Removes the thread's blobs that no checkpoint refers to. The caller must hold a lock of the thread that keeps others
/// from storing checkpoints.
pub(super) async fn prune_blobs(operation: &'static str, db: &mut Db, thread_id: ThreadId) -> Result<()> {
    let prune = sqlx::query(
        "DELETE FROM checkpoint_blobs WHERE thread_id = $1 AND (checkpoint_ns, channel, version) NOT IN
            (SELECT c.checkpoint_ns, v.channel, v.version
             FROM checkpoints c, unnest(c.channels, c.versions) AS v (channel, version) WHERE c.thread_id = $1)",
    );
    prune.bind(thread_id.0).execute(db).await.context(operation)?;
    Ok(())
}

/// Removes the checkpoints of these runs with their writes and blobs, and the runs' writes on other checkpoints.
pub(super) async fn remove_of_runs(
    operation: &'static str,
    db: &mut Db,
    thread_id: ThreadId,
    runs: &[Uuid],
) -> Result<()> {
    // Every statement that stores a checkpoint takes the weakest lock that conflicts with this one.
    let lock = sqlx::query("SELECT 1 FROM threads WHERE thread_id = $1 FOR UPDATE").bind(thread_id.0);
    lock.execute(&mut *db).await.context(operation)?;
    let statements = [
        "DELETE FROM checkpoint_writes WHERE thread_id = $1 AND (run_id = ANY ($2) OR (checkpoint_ns, checkpoint_id) IN
            (SELECT checkpoint_ns, checkpoint_id FROM checkpoints WHERE thread_id = $1 AND run_id = ANY ($2)))",
        "UPDATE threads SET state_checkpoint_id = NULL, state_rest = NULL WHERE thread_id = $1 AND state_checkpoint_id IN
            (SELECT checkpoint_id FROM checkpoints WHERE thread_id = $1 AND run_id = ANY ($2) AND checkpoint_ns = '')",
        "DELETE FROM checkpoints WHERE thread_id = $1 AND run_id = ANY ($2)",
    ];
    for statement in statements {
        sqlx::query(statement).bind(thread_id.0).bind(runs).execute(&mut *db).await.context(operation)?;
    }
    prune_blobs(operation, db, thread_id).await
}

/// The number and size of the thread's checkpoints, writes and channel values.
pub(super) async fn volumes(operation: &'static str, db: &mut Db, thread_id: ThreadId) -> Result<ThreadStorage> {
    let rows = sqlx::query(
        "SELECT 'checkpoints' AS what, '' AS channel, count(*) AS number,
            coalesce(sum(length(bytes) + octet_length(metadata)), 0)::BIGINT AS bytes FROM checkpoints WHERE thread_id = $1
         UNION ALL SELECT 'writes', '', count(*), coalesce(sum(length(bytes)), 0)::BIGINT FROM checkpoint_writes WHERE thread_id = $1
         UNION ALL SELECT 'values', channel, count(*), coalesce(sum(length(bytes)), 0)::BIGINT FROM checkpoint_blobs
            WHERE thread_id = $1 GROUP BY channel",
    );
    let mut storage = ThreadStorage::default();
    for row in rows.bind(thread_id.0).fetch_all(db).await.context(operation)? {
        let volume = Volume { count: columns::count(&row, "number")?, bytes: columns::count(&row, "bytes")? };
        match get(&row, "what")? {
            "checkpoints" => storage.checkpoints = volume,
            "writes" => storage.pending_writes = volume,
            _ => {
                storage.channels.insert(get(&row, "channel")?, volume);
            }
        }
    }
    Ok(storage)
}

/// Removes all checkpoints of a thread.
pub(super) async fn remove_all(operation: &'static str, db: &mut Db, thread_id: ThreadId) -> Result<()> {
    let statements = [
        "DELETE FROM checkpoints WHERE thread_id = $1",
        "DELETE FROM checkpoint_blobs WHERE thread_id = $1",
        "DELETE FROM checkpoint_writes WHERE thread_id = $1",
        "UPDATE threads SET state_checkpoint_id = NULL, state_rest = NULL WHERE thread_id = $1",
    ];
    for statement in statements {
        sqlx::query(statement).bind(thread_id.0).execute(&mut *db).await.context(operation)?;
    }
    Ok(())
}

/// Copies all checkpoints of a thread to another thread, in their order. The copies belong to no run, and their
/// metadata contains the new thread's id.
pub(super) async fn copy(operation: &'static str, db: &mut Db, source: ThreadId, new: ThreadId) -> Result<()> {
    let statements = [
        "INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, tenant, parent_checkpoint_id, kind, channels, versions,
            metadata, bytes)
         SELECT $2, checkpoint_ns, checkpoint_id, tenant, parent_checkpoint_id, kind, channels, versions, metadata, bytes
         FROM checkpoints WHERE thread_id = $1 ORDER BY position",
        "INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, tenant, kind, bytes)
         SELECT $2, checkpoint_ns, channel, version, tenant, kind, bytes FROM checkpoint_blobs WHERE thread_id = $1",
        "INSERT INTO checkpoint_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, tenant, task_path, channel, kind,
            bytes)
         SELECT $2, checkpoint_ns, checkpoint_id, task_id, idx, tenant, task_path, channel, kind, bytes
         FROM checkpoint_writes WHERE thread_id = $1",
    ];
    for statement in statements {
        sqlx::query(statement).bind(source.0).bind(new.0).execute(&mut *db).await.context(operation)?;
    }
    rename_thread(operation, db, new).await
}

/// Replaces the `thread_id` in the metadata of checkpoints that have one. This is not done in SQL, because SQL would
/// reformat the rest of the JSON text.
async fn rename_thread(operation: &'static str, db: &mut Db, id: ThreadId) -> Result<()> {
    let rows = sqlx::query(
        "SELECT checkpoint_ns, checkpoint_id, metadata FROM checkpoints WHERE thread_id = $1 AND strpos(metadata, 'thread_id') > 0",
    );
    let rows = rows.bind(id.0).fetch_all(&mut *db).await.context(operation)?;
    let (mut namespaces, mut ids, mut documents) = (Vec::new(), Vec::new(), Vec::new());
    for row in &rows {
        let mut metadata: RawObject = columns::json(row, "metadata")?;
        if metadata.get("thread_id").is_some() {
            metadata.insert("thread_id", RawJson::from(serde_json::Value::from(id.to_string())));
            namespaces.push(get::<String>(row, "checkpoint_ns")?);
            ids.push(get::<String>(row, "checkpoint_id")?);
            documents.push(columns::text(&metadata)?);
        }
    }
    let update = sqlx::query(
        "UPDATE checkpoints c SET metadata = n.metadata FROM unnest($2::TEXT[], $3::TEXT[], $4::TEXT[]) AS n (ns, id, metadata)
         WHERE c.thread_id = $1 AND c.checkpoint_ns = n.ns AND c.checkpoint_id = n.id",
    );
    update.bind(id.0).bind(namespaces).bind(ids).bind(documents).execute(db).await.context(operation)?;
    Ok(())
}
