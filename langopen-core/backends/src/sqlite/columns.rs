//! Conversion between rows and the types of the model.

use langopen_core::clock::Timestamp;
use langopen_core::error::{Error, Result};
use langopen_core::ids::{AssistantId, CronId, RunId, ThreadId};
use langopen_core::json::{JsonMap, RawJson};
use langopen_core::model::{
    Assistant, CancelAction, CancelRequest, Cron, MultitaskStrategy, OnCompletion, PruneStrategy, Run, SortOrder,
    Thread, ThreadStatus, ThreadTtl,
};
use langopen_core::run_state::RunStatus;
use langopen_core::tenant::Tenant;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, QueryBuilder, Row, Sqlite, Type};
use uuid::Uuid;

const READ: &str = "sqlite.read";

/// Adds to a database error the operation in which it happened.
pub(super) trait Context<T> {
    fn context(self, operation: &'static str) -> Result<T>;
}

impl<T> Context<T> for Result<T, sqlx::Error> {
    fn context(self, operation: &'static str) -> Result<T> {
        self.map_err(|error| Error::unavailable(operation, "SQLite failed").with_source(error))
    }
}

pub(super) fn damaged(column: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::internal(READ, format!("column {column:?} has an invalid value")).with_source(error)
}

/// A column's value.
pub(super) fn get<'r, T: Decode<'r, Sqlite> + Type<Sqlite>>(row: &'r SqliteRow, column: &str) -> Result<T> {
    row.try_get(column).map_err(|error| damaged(column, error))
}

pub(super) fn time(row: &SqliteRow, column: &str) -> Result<Timestamp> {
    get(row, column).map(Timestamp::from_micros)
}

/// Decodes a JSON document.
pub(super) fn json<T: DeserializeOwned>(row: &SqliteRow, column: &str) -> Result<T> {
    serde_json::from_str(get(row, column)?).map_err(|error| damaged(column, error))
}

/// Decodes a JSON document; NULL becomes the default value.
fn json_or_default<T: DeserializeOwned + Default>(row: &SqliteRow, column: &str) -> Result<T> {
    let text: Option<&str> = get(row, column)?;
    text.map_or_else(|| Ok(T::default()), |text| serde_json::from_str(text).map_err(|error| damaged(column, error)))
}

/// A JSON document as text.
pub(super) fn raw(row: &SqliteRow, column: &str) -> Result<RawJson> {
    RawJson::from_text(get(row, column)?).map_err(|error| damaged(column, error))
}

pub(super) fn raw_or_null(row: &SqliteRow, column: &str) -> Result<Option<RawJson>> {
    let text: Option<String> = get(row, column)?;
    text.map(RawJson::from_text).transpose().map_err(|error| damaged(column, error))
}

pub(super) fn named<T>(row: &SqliteRow, column: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T> {
    let name: &str = get(row, column)?;
    parse(name).ok_or_else(|| damaged(column, format!("unknown name {name:?}")))
}

pub(super) fn tenant(row: &SqliteRow) -> Result<Tenant> {
    Tenant::parse(get(row, "tenant")?)
}

/// The JSON text of a document.
pub(super) fn text(document: &impl Serialize) -> Result<String> {
    serde_json::to_string(document).map_err(|error| Error::invalid("sqlite.write", "no JSON form").with_source(error))
}

/// Encodes ids as one parameter: a JSON array of hexadecimal text. SQL reads it with `SELECT unhex(value) FROM
/// json_each(?)`.
pub(super) fn id_list(ids: impl IntoIterator<Item = Uuid>) -> Result<String> {
    text(&ids.into_iter().map(|id| id.simple().to_string()).collect::<Vec<_>>())
}

/// The SQL keyword for the direction of a sort.
pub(super) fn direction(order: SortOrder) -> &'static str {
    match order {
        SortOrder::Asc => "ASC",
        SortOrder::Desc => "DESC",
    }
}

/// Adds the offset and limit of a page. The limit includes one more row, which shows whether another page follows.
pub(super) fn push_page(sql: &mut QueryBuilder<Sqlite>, offset: u32, limit: u32) {
    sql.push(" LIMIT ").push_bind(i64::from(limit) + 1).push(" OFFSET ").push_bind(offset);
}

pub(super) fn run(row: &SqliteRow) -> Result<Run> {
    Ok(Run {
        run_id: RunId(get(row, "run_id")?),
        thread_id: ThreadId(get(row, "thread_id")?),
        assistant_id: AssistantId(get(row, "assistant_id")?),
        graph_id: get(row, "graph_id")?,
        metadata: json(row, "metadata")?,
        status: named(row, "status", RunStatus::parse)?,
        kwargs: raw(row, "kwargs")?,
        multitask_strategy: named(row, "multitask_strategy", MultitaskStrategy::parse)?,
        resumable: get(row, "resumable")?,
        temporary: get(row, "temporary")?,
        webhook: get(row, "webhook")?,
        origin: json_or_default(row, "origin")?,
        attempt: get(row, "attempt")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

/// The requested cancel, from `cancel_action` and `cancel_reason`.
pub(super) fn cancel(row: &SqliteRow) -> Result<Option<CancelRequest>> {
    let action: Option<&str> = get(row, "cancel_action")?;
    let Some(action) = action.and_then(CancelAction::parse) else { return Ok(None) };
    let reason: Option<String> = get(row, "cancel_reason")?;
    Ok(Some(CancelRequest { action, reason: reason.unwrap_or_default() }))
}

pub(super) fn thread(row: &SqliteRow) -> Result<Thread> {
    Ok(Thread {
        thread_id: ThreadId(get(row, "thread_id")?),
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
        state_updated_at: time(row, "state_updated_at")?,
        metadata: json(row, "metadata")?,
        status: named(row, "status", ThreadStatus::parse)?,
        config: json::<JsonMap>(row, "config")?,
        values: raw_or_null(row, "values")?,
        interrupts: raw_or_null(row, "interrupts")?,
        error: raw_or_null(row, "error")?,
        ttl: ttl(row)?,
        pruned_at: get::<Option<i64>>(row, "pruned_at")?.map(Timestamp::from_micros),
    })
}

fn ttl(row: &SqliteRow) -> Result<Option<ThreadTtl>> {
    let Some(minutes) = get(row, "ttl_minutes")? else { return Ok(None) };
    Ok(Some(ThreadTtl { strategy: named(row, "ttl_strategy", PruneStrategy::parse)?, minutes }))
}

pub(super) fn assistant(row: &SqliteRow) -> Result<Assistant> {
    Ok(Assistant {
        assistant_id: AssistantId(get(row, "assistant_id")?),
        graph_id: get(row, "graph_id")?,
        config: json(row, "config")?,
        context: json(row, "context")?,
        metadata: json(row, "metadata")?,
        name: get(row, "name")?,
        description: get(row, "description")?,
        version: get(row, "version")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

pub(super) fn cron(row: &SqliteRow) -> Result<Cron> {
    let moment = |column| get::<Option<i64>>(row, column).map(|micros| micros.map(Timestamp::from_micros));
    let on_run_completed: Option<&str> = get(row, "on_run_completed")?;
    Ok(Cron {
        cron_id: CronId(get(row, "cron_id")?),
        assistant_id: AssistantId(get(row, "assistant_id")?),
        thread_id: get::<Option<Uuid>>(row, "thread_id")?.map(ThreadId),
        creator: json(row, "creator")?,
        schedule: get(row, "schedule")?,
        timezone: get(row, "timezone")?,
        end_time: moment("end_time")?,
        payload: raw(row, "payload")?,
        metadata: json(row, "metadata")?,
        on_run_completed: on_run_completed.and_then(OnCompletion::parse),
        enabled: get(row, "enabled")?,
        next_run_date: moment("next_run_date")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}
