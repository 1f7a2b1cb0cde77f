//! The database of langgraph's `PostgresSaver` and `PostgresStore`. The import reads one snapshot of it and never
//! writes.

use std::str::FromStr;

use bytes::Bytes;
use langopen_core::model::{Blob, PendingWrite};
use parking_lot::Mutex;
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use super::error::ImportError;
use super::layout::Layout;

/// The pattern of a UUID as text.
const UUID: &str = "'^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'";

/// How many checkpoints one query reads, without their values.
const CHECKPOINTS_AT_ONCE: i64 = 100;

type SqlResult<T> = Result<T, sqlx::Error>;

/// The source, in one snapshot that all connections share.
pub(super) struct Source {
    layout: Layout,
    /// The connection that exports the snapshot and lists threads and items. It must stay open.
    main: PgConnection,
    /// Connections that read threads in parallel.
    readers: Mutex<Vec<PgConnection>>,
}

/// How much the source contains.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) threads: u64,
    pub(super) checkpoints: u64,
    pub(super) writes: u64,
    pub(super) items: u64,
    pub(super) vectors: u64,
    /// The number of threads whose ids are not UUIDs, and some of those ids.
    pub(super) other_ids: (u64, Vec<String>),
    /// Encodings that graph hosts cannot read, and the number of values in each.
    pub(super) unreadable: Vec<(String, u64)>,
}

/// The row of a checkpoint.
pub(super) struct CheckpointRow {
    pub(super) checkpoint_id: String,
    pub(super) parent_checkpoint_id: Option<String>,
    pub(super) document: String,
    pub(super) metadata: String,
}

/// The writes of one task.
pub(super) struct TaskWrites {
    pub(super) task_path: String,
    pub(super) writes: Vec<PendingWrite>,
}

/// The row of a store item.
pub(super) struct ItemRow {
    pub(super) prefix: String,
    pub(super) key: String,
    pub(super) value: String,
    pub(super) ttl_minutes: Option<f64>,
}

impl Source {
    /// Opens the main connection and `readers` further ones.
    pub(super) async fn open(address: &str, readers: usize) -> Result<Self, ImportError> {
        let options = PgConnectOptions::from_str(address).map_err(ImportError::Address)?;
        let options = options.application_name("langopen import");
        let mut main = begin(&options, None).await?;
        let snapshot: String = sqlx::query_scalar("SELECT pg_export_snapshot()").fetch_one(&mut main).await?;
        let layout = Layout::of(&mut main).await?;
        let mut connections = Vec::new();
        for _ in 0..readers {
            connections.push(begin(&options, Some(&snapshot)).await?);
        }
        Ok(Self { layout, main, readers: Mutex::new(connections) })
    }

    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    /// Counts the contents of the source.
    pub(super) async fn totals(&mut self) -> SqlResult<Totals> {
        let mut totals = Totals::default();
        if self.layout.threads {
            totals.threads = self.count("SELECT count(DISTINCT thread_id) FROM checkpoints").await?;
            totals.checkpoints = self.count("SELECT count(*) FROM checkpoints").await?;
            totals.writes = self.count("SELECT count(*) FROM checkpoint_writes").await?;
            let others = format!("FROM checkpoints WHERE thread_id !~* {UUID}");
            totals.other_ids.0 = self.count(&format!("SELECT count(DISTINCT thread_id) {others}")).await?;
            let some = format!("SELECT DISTINCT thread_id::text {others} ORDER BY 1 LIMIT 5");
            totals.other_ids.1 = sqlx::query_scalar(AssertSqlSafe(some)).fetch_all(&mut self.main).await?;
            let kinds = "SELECT coalesce(type, 'unknown') AS kind, count(*) FROM (SELECT type FROM checkpoint_blobs
                    UNION ALL SELECT type FROM checkpoint_writes) AS every
                 WHERE type IS NULL OR NOT type = ANY($1) GROUP BY 1 ORDER BY 1";
            let kinds = sqlx::query(kinds).bind(&super::checkpoint::READABLE[..]).fetch_all(&mut self.main).await?;
            totals.unreadable =
                kinds.iter().map(|row| Ok((row.try_get(0)?, unsigned(row, 1)?))).collect::<SqlResult<_>>()?;
        }
        if self.layout.items {
            totals.items = self.count("SELECT count(*) FROM store").await?;
        }
        if self.layout.vectors {
            totals.vectors = self.count("SELECT count(*) FROM store_vectors").await?;
        }
        Ok(totals)
    }

    async fn count(&mut self, sql: &str) -> SqlResult<u64> {
        let row = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_one(&mut self.main).await?;
        unsigned(&row, 0)
    }

    /// Opens a cursor over the threads, the least recently active ones first.
    pub(super) async fn open_threads(&mut self) -> SqlResult<()> {
        let id = self.layout.checkpoint_id();
        let sql = format!(
            "DECLARE import_threads NO SCROLL CURSOR FOR
             SELECT thread_id::text FROM checkpoints GROUP BY thread_id ORDER BY max({id}), thread_id"
        );
        sqlx::query(AssertSqlSafe(sql)).execute(&mut self.main).await.map(drop)
    }

    /// Fetches the next threads. The result is empty at the end.
    pub(super) async fn next_threads(&mut self) -> SqlResult<Vec<String>> {
        sqlx::query_scalar("FETCH 500 FROM import_threads").fetch_all(&mut self.main).await
    }

    /// Opens a cursor over the store's items, the least recently updated ones first.
    pub(super) async fn open_items(&mut self) -> SqlResult<()> {
        let (ttl, there) = match self.layout.ttl {
            true => ("ttl_minutes::float8", "expires_at IS NULL OR expires_at > now()"),
            false => ("NULL::float8", "true"),
        };
        let sql = format!(
            "DECLARE import_items NO SCROLL CURSOR FOR SELECT prefix, key, value::text, {ttl} FROM store WHERE {there}
             ORDER BY updated_at NULLS FIRST, prefix, key"
        );
        sqlx::query(AssertSqlSafe(sql)).execute(&mut self.main).await.map(drop)
    }

    /// Fetches the next items. The result is empty at the end.
    pub(super) async fn next_items(&mut self) -> SqlResult<Vec<ItemRow>> {
        let rows = sqlx::query("FETCH 50 FROM import_items").fetch_all(&mut self.main).await?;
        let item = |row: &PgRow| {
            Ok(ItemRow {
                prefix: row.try_get(0)?,
                key: row.try_get(1)?,
                value: row.try_get(2)?,
                ttl_minutes: row.try_get(3)?,
            })
        };
        rows.iter().map(item).collect()
    }

    /// The vectors of an item, by the name of the indexed field.
    pub(super) async fn vectors(&mut self, item: &ItemRow) -> SqlResult<Vec<(String, Vec<f32>)>> {
        if !self.layout.vectors {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(
            "SELECT field_name, embedding::real[] FROM store_vectors
             WHERE prefix = $1 AND key = $2 AND embedding IS NOT NULL ORDER BY field_name",
        );
        let rows = rows.bind(&item.prefix).bind(&item.key).fetch_all(&mut self.main).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// Takes a connection for reading a thread. `None` if all of them are in use.
    pub(super) fn reader(&self) -> Option<Reader<'_>> {
        let connection = self.readers.lock().pop()?;
        Some(Reader { source: self, connection: Some(connection) })
    }
}

/// Reads one thread.
pub(super) struct Reader<'a> {
    source: &'a Source,
    connection: Option<PgConnection>,
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.source.readers.lock().extend(self.connection.take());
    }
}

impl Reader<'_> {
    fn connection(&mut self) -> SqlResult<&mut PgConnection> {
        self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)
    }

    /// The value of `key` in the metadata of the newest root checkpoint that has this key.
    pub(super) async fn metadata(&mut self, thread_id: &str, key: &str) -> SqlResult<Option<String>> {
        let id = self.source.layout.checkpoint_id();
        let sql = format!(
            "SELECT (metadata -> $2)::text FROM checkpoints WHERE thread_id = $1 AND checkpoint_ns = '' AND metadata ? $2
             ORDER BY {id} DESC LIMIT 1"
        );
        let value = sqlx::query_scalar(AssertSqlSafe(sql)).bind(thread_id).bind(key);
        value.fetch_optional(self.connection()?).await
    }

    /// The thread's namespaces, each with its newest checkpoint.
    pub(super) async fn namespaces(&mut self, thread_id: &str) -> SqlResult<Vec<(String, String)>> {
        let id = self.source.layout.checkpoint_id();
        let sql = format!(
            "SELECT checkpoint_ns, max({id}) FROM checkpoints WHERE thread_id = $1 GROUP BY checkpoint_ns ORDER BY checkpoint_ns"
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(thread_id).fetch_all(self.connection()?).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// Fetches the next checkpoints of a namespace, oldest first. The result is empty at the end.
    pub(super) async fn checkpoints(
        &mut self,
        (thread_id, checkpoint_ns): (&str, &str),
        after: &str,
    ) -> SqlResult<Vec<CheckpointRow>> {
        let (id, parent) = (self.source.layout.checkpoint_id(), self.source.layout.parent_id());
        let sql = format!(
            "SELECT {id}, {parent}, checkpoint::text, metadata::text FROM checkpoints
             WHERE thread_id = $1 AND checkpoint_ns = $2 AND {id} > $3 ORDER BY {id} LIMIT $4"
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(thread_id).bind(checkpoint_ns).bind(after);
        let rows = rows.bind(CHECKPOINTS_AT_ONCE).fetch_all(self.connection()?).await?;
        let checkpoint = |row: &PgRow| {
            Ok(CheckpointRow {
                checkpoint_id: row.try_get(0)?,
                parent_checkpoint_id: row.try_get::<Option<String>, _>(1)?.filter(|parent| !parent.is_empty()),
                document: row.try_get(2)?,
                metadata: row.try_get(3)?,
            })
        };
        rows.iter().map(checkpoint).collect()
    }

    /// The blobs of these channel versions, except for empty ones.
    pub(super) async fn blobs(
        &mut self,
        (thread_id, checkpoint_ns): (&str, &str),
        wanted: &[(String, String)],
    ) -> SqlResult<Vec<Blob>> {
        let (channels, versions): (Vec<&str>, Vec<&str>) =
            wanted.iter().map(|(channel, version)| (channel.as_str(), version.as_str())).unzip();
        let same_version = if self.source.layout.shallow { "true" } else { "b.version::text = w.version" };
        let sql = format!(
            "SELECT w.channel, w.version, b.type, b.blob FROM checkpoint_blobs b
             JOIN unnest($3::text[], $4::text[]) AS w (channel, version) ON b.channel = w.channel AND {same_version}
             WHERE b.thread_id = $1 AND b.checkpoint_ns = $2 AND b.type <> 'empty'"
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(thread_id).bind(checkpoint_ns).bind(channels).bind(versions);
        let blob = |row: &PgRow| {
            Ok(Blob {
                channel: row.try_get(0)?,
                version: row.try_get(1)?,
                kind: row.try_get(2)?,
                bytes: bytes(row, 3)?,
            })
        };
        rows.fetch_all(self.connection()?).await?.iter().map(blob).collect()
    }

    /// The writes that belong to a checkpoint, by task.
    pub(super) async fn writes(
        &mut self,
        (thread_id, checkpoint_ns): (&str, &str),
        checkpoint_id: &str,
    ) -> SqlResult<Vec<TaskWrites>> {
        let path = if self.source.layout.task_path { "task_path" } else { "''" };
        let sql = format!(
            "SELECT {path}, task_id, idx::int8, channel, coalesce(type, 'unknown'), blob FROM checkpoint_writes
             WHERE thread_id = $1 AND checkpoint_ns = $2 AND checkpoint_id = $3 ORDER BY 1, 2, 3"
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(thread_id).bind(checkpoint_ns).bind(checkpoint_id);
        let mut tasks: Vec<TaskWrites> = Vec::new();
        for row in rows.fetch_all(self.connection()?).await? {
            let task_path: String = row.try_get(0)?;
            let write = PendingWrite {
                task_id: row.try_get(1)?,
                index: row.try_get(2)?,
                channel: row.try_get(3)?,
                kind: row.try_get(4)?,
                bytes: bytes(&row, 5)?,
            };
            let same = |task: &&mut TaskWrites| {
                task.task_path == task_path && task.writes.iter().all(|known| known.task_id == write.task_id)
            };
            match tasks.last_mut().filter(same) {
                Some(task) => task.writes.push(write),
                None => tasks.push(TaskWrites { task_path, writes: vec![write] }),
            }
        }
        Ok(tasks)
    }

    /// The pending sends of a checkpoint, in their order.
    pub(super) async fn sends(&mut self, thread_id: &str, checkpoint_id: &str) -> SqlResult<Vec<(String, Vec<u8>)>> {
        let path = if self.source.layout.task_path { "task_path, " } else { "" };
        let sql = format!(
            "SELECT coalesce(type, 'unknown'), blob FROM checkpoint_writes
             WHERE thread_id = $1 AND checkpoint_id = $2 AND channel = '__pregel_tasks' ORDER BY {path}task_id, idx"
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(thread_id).bind(checkpoint_id);
        let rows = rows.fetch_all(self.connection()?).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get::<Option<_>, _>(1)?.unwrap_or_default()))).collect()
    }
}

/// Opens a connection with a read-only transaction, in the `snapshot` if one is named.
async fn begin(options: &PgConnectOptions, snapshot: Option<&str>) -> SqlResult<PgConnection> {
    let mut connection = PgConnection::connect_with(options).await?;
    sqlx::query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(&mut connection).await?;
    if let Some(snapshot) = snapshot {
        // The statement takes no parameters. The server itself made the name.
        let name = snapshot.replace('\'', "''");
        let set = format!("SET TRANSACTION SNAPSHOT '{name}'");
        sqlx::query(AssertSqlSafe(set)).execute(&mut connection).await?;
    }
    Ok(connection)
}

fn unsigned(row: &PgRow, column: usize) -> SqlResult<u64> {
    Ok(u64::try_from(row.try_get::<i64, _>(column)?).unwrap_or_default())
}

fn bytes(row: &PgRow, column: usize) -> SqlResult<Bytes> {
    Ok(row.try_get::<Option<Vec<u8>>, _>(column)?.unwrap_or_default().into())
}
