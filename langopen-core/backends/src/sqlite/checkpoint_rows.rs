//! Reading, copying and removing the rows of checkpoints, blobs and writes.

use langopen_core::error::Result;
use langopen_core::ids::{RunId, ThreadId};
use langopen_core::model::{ChannelValue, CheckpointTuple, PendingWrite, ThreadStorage, Volume};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::columns::{self, Context, get};

/// A checkpoint's row together with its channel values and writes.
pub(super) async fn tuple(
    operation: &'static str,
    db: &mut SqliteConnection,
    row: &SqliteRow,
) -> Result<CheckpointTuple> {
    let thread_id = ThreadId(get(row, "thread_id")?);
    let (checkpoint_ns, checkpoint_id): (String, String) = (get(row, "checkpoint_ns")?, get(row, "checkpoint_id")?);
    let versions: &str = get(row, "channel_versions")?;
    let values = sqlx::query(
        "SELECT b.channel, b.kind, b.bytes FROM json_each(?) v JOIN checkpoint_blobs b
            ON b.channel = json_extract(v.value, '$[0]') AND b.version = json_extract(v.value, '$[1]')
         WHERE b.thread_id = ? AND b.checkpoint_ns = ? AND b.kind <> 'empty' ORDER BY v.id",
    );
    let values = values.bind(versions).bind(thread_id.0).bind(&checkpoint_ns);
    let values = values.fetch_all(&mut *db).await.context(operation)?;
    let writes = sqlx::query(
        "SELECT task_id, idx, channel, kind, bytes FROM checkpoint_writes
         WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ? ORDER BY task_path, task_id, idx",
    );
    let writes = writes.bind(thread_id.0).bind(&checkpoint_ns).bind(&checkpoint_id);
    let writes = writes.fetch_all(db).await.context(operation)?;
    Ok(CheckpointTuple {
        thread_id,
        checkpoint_ns,
        checkpoint_id,
        parent_checkpoint_id: get(row, "parent_checkpoint_id")?,
        latest_id: None,
        kind: get(row, "kind")?,
        bytes: get::<Vec<u8>>(row, "bytes")?.into(),
        metadata: columns::raw(row, "metadata")?,
        channel_values: values.iter().map(value).collect::<Result<_>>()?,
        pending_writes: writes.iter().map(write).collect::<Result<_>>()?,
    })
}

fn value(row: &SqliteRow) -> Result<ChannelValue> {
    let bytes = get::<Vec<u8>>(row, "bytes")?.into();
    Ok(ChannelValue { channel: get(row, "channel")?, kind: get(row, "kind")?, bytes })
}

fn write(row: &SqliteRow) -> Result<PendingWrite> {
    Ok(PendingWrite {
        task_id: get(row, "task_id")?,
        index: get(row, "idx")?,
        channel: get(row, "channel")?,
        kind: get(row, "kind")?,
        bytes: get::<Vec<u8>>(row, "bytes")?.into(),
    })
}

/// Removes the thread's blobs that no checkpoint refers to.
pub(super) async fn prune_blobs(operation: &'static str, db: &mut SqliteConnection, thread_id: ThreadId) -> Result<()> {
    let prune = sqlx::query(
        "DELETE FROM checkpoint_blobs WHERE thread_id = ?1 AND (checkpoint_ns, channel, version) NOT IN
            (SELECT c.checkpoint_ns, json_extract(v.value, '$[0]'), json_extract(v.value, '$[1]')
             FROM checkpoints c, json_each(c.channel_versions) v WHERE c.thread_id = ?1)",
    );
    prune.bind(thread_id.0).execute(db).await.context(operation)?;
    Ok(())
}

/// Removes the run's checkpoints with their writes and blobs, and the run's writes on other checkpoints.
pub(super) async fn remove_of_run(
    operation: &'static str,
    db: &mut SqliteConnection,
    thread_id: ThreadId,
    run_id: RunId,
) -> Result<()> {
    let statements = [
        "DELETE FROM checkpoint_writes WHERE thread_id = ?1 AND (run_id = ?2 OR (checkpoint_ns, checkpoint_id) IN
            (SELECT checkpoint_ns, checkpoint_id FROM checkpoints WHERE thread_id = ?1 AND run_id = ?2))",
        "UPDATE threads SET state_checkpoint_id = NULL, state_rest = NULL WHERE thread_id = ?1 AND state_checkpoint_id IN
            (SELECT checkpoint_id FROM checkpoints WHERE thread_id = ?1 AND run_id = ?2 AND checkpoint_ns = '')",
        "DELETE FROM checkpoints WHERE thread_id = ?1 AND run_id = ?2",
    ];
    for statement in statements {
        sqlx::query(statement).bind(thread_id.0).bind(run_id.0).execute(&mut *db).await.context(operation)?;
    }
    prune_blobs(operation, db, thread_id).await
}

/// The number and size of the thread's checkpoints, writes and channel values.
pub(super) async fn volumes(
    operation: &'static str,
    db: &mut SqliteConnection,
    thread_id: ThreadId,
) -> Result<ThreadStorage> {
    let rows = sqlx::query(
        "SELECT 'checkpoints' AS what, '' AS channel, count(*) AS number,
            coalesce(sum(length(bytes) + octet_length(metadata)), 0) AS bytes FROM checkpoints WHERE thread_id = ?1
         UNION ALL SELECT 'writes', '', count(*), coalesce(sum(length(bytes)), 0) FROM checkpoint_writes WHERE thread_id = ?1
         UNION ALL SELECT 'values', channel, count(*), coalesce(sum(length(bytes)), 0) FROM checkpoint_blobs
            WHERE thread_id = ?1 GROUP BY channel",
    );
    let mut storage = ThreadStorage::default();
    for row in rows.bind(thread_id.0).fetch_all(db).await.context(operation)? {
        let volume = Volume { count: get(&row, "number")?, bytes: get(&row, "bytes")? };
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
pub(super) async fn remove_all(operation: &'static str, db: &mut SqliteConnection, thread_id: ThreadId) -> Result<()> {
    let statements = [
        "DELETE FROM checkpoints WHERE thread_id = ?",
        "DELETE FROM checkpoint_blobs WHERE thread_id = ?",
        "DELETE FROM checkpoint_writes WHERE thread_id = ?",
        "UPDATE threads SET state_checkpoint_id = NULL, state_rest = NULL WHERE thread_id = ?",
    ];
    for statement in statements {
        sqlx::query(statement).bind(thread_id.0).execute(&mut *db).await.context(operation)?;
    }
    Ok(())
}

/// Copies all checkpoints of a thread to another thread, in their order. The copies belong to no run, and their
/// metadata contains the new thread's id.
pub(super) async fn copy(
    operation: &'static str,
    db: &mut SqliteConnection,
    source: ThreadId,
    new: ThreadId,
) -> Result<()> {
    let checkpoints =
        "INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, tenant, parent_checkpoint_id, kind,
            channel_versions, metadata, bytes)
         SELECT ?2, checkpoint_ns, checkpoint_id, tenant, parent_checkpoint_id, kind, channel_versions,
            json_replace(metadata, '$.thread_id', ?3), bytes
         FROM checkpoints WHERE thread_id = ?1 ORDER BY position";
    let query = sqlx::query(checkpoints).bind(source.0).bind(new.0).bind(new.to_string());
    query.execute(&mut *db).await.context(operation)?;
    let statements = [
        "INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, tenant, kind, bytes)
         SELECT ?2, checkpoint_ns, channel, version, tenant, kind, bytes FROM checkpoint_blobs WHERE thread_id = ?1",
        "INSERT INTO checkpoint_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, tenant, task_path, channel, kind,
            bytes)
         SELECT ?2, checkpoint_ns, checkpoint_id, task_id, idx, tenant, task_path, channel, kind, bytes
         FROM checkpoint_writes WHERE thread_id = ?1",
    ];
    for statement in statements {
        sqlx::query(statement).bind(source.0).bind(new.0).execute(&mut *db).await.context(operation)?;
    }
    Ok(())
}
