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
use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, QueryBuilder, Row, Type};
use uuid::Uuid;

use super::connection;

const READ: &str = "postgres.read";

/// Adds to a database error the operation in which it happened.
pub(super) trait Context<T> {
    fn context(self, operation: &'static str) -> Result<T>;
}

impl<T> Context<T> for Result<T, sqlx::Error> {
    fn context(self, operation: &'static str) -> Result<T> {
        self.map_err(|error| explained(operation, error))
    }
}

fn explained(operation: &'static str, error: sqlx::Error) -> Error {
    if connection::is_broken(&error) {
        connection::raise_doubt();
    }
    let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default();
    let explained = match &*code {
        "22021" | "22P05" => Error::invalid(operation, "Postgres cannot store the character U+0000; remove it"),
        "54000" => Error::invalid(operation, "a name or a key is too long: Postgres indexes at most about 2,700 bytes"),
        "53100" => Error::unavailable(operation, "the disk of Postgres is full; free some space"),
        // The caller sent invalid data, or the statement does not fit the schema.
        code if ["22", "23", "42"].iter().any(|class| code.starts_with(class)) => {
            Error::internal(operation, "Postgres refused a statement")
        }
        _ => Error::unavailable(operation, "Postgres failed"),
    };
    explained.with_source(error)
}

/// The database error that caused one of our errors.
pub(super) fn cause(error: &Error) -> Option<&sqlx::Error> {
    std::error::Error::source(error)?.downcast_ref()
}

/// Whether the database refused a row because another row has the same key.
pub(super) fn is_taken(error: &Error) -> bool {
    cause(error).and_then(sqlx::Error::as_database_error).is_some_and(|error| error.is_unique_violation())
}

pub(super) fn damaged(column: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::internal(READ, format!("column {column:?} has an invalid value")).with_source(error)
}

/// A column's value.
pub(super) fn get<'r, T: Decode<'r, Postgres> + Type<Postgres>>(row: &'r PgRow, column: &str) -> Result<T> {
    row.try_get(column).map_err(|error| damaged(column, error))
}

/// A count. Postgres has no unsigned integers.
pub(super) fn count(row: &PgRow, column: &str) -> Result<u64> {
    get::<i64>(row, column).map(i64::unsigned_abs)
}

/// The attempt number of a run.
pub(super) fn attempt(row: &PgRow) -> Result<u32> {
    u32::try_from(get::<i64>(row, "attempt")?).map_err(|error| damaged("attempt", error))
}

pub(super) fn time(row: &PgRow, column: &str) -> Result<Timestamp> {
    get(row, column).map(Timestamp::from_micros)
}

/// Decodes a JSON document.
pub(super) fn json<T: DeserializeOwned>(row: &PgRow, column: &str) -> Result<T> {
    serde_json::from_str(get(row, column)?).map_err(|error| damaged(column, error))
}

/// Decodes a JSON document; NULL becomes the default value.
fn json_or_default<T: DeserializeOwned + Default>(row: &PgRow, column: &str) -> Result<T> {
    let text: Option<&str> = get(row, column)?;
    text.map_or_else(|| Ok(T::default()), |text| serde_json::from_str(text).map_err(|error| damaged(column, error)))
}

/// A JSON document as text.
pub(super) fn raw(row: &PgRow, column: &str) -> Result<RawJson> {
    RawJson::from_text(get(row, column)?).map_err(|error| damaged(column, error))
}

pub(super) fn raw_or_null(row: &PgRow, column: &str) -> Result<Option<RawJson>> {
    let text: Option<String> = get(row, column)?;
    text.map(RawJson::from_text).transpose().map_err(|error| damaged(column, error))
}

pub(super) fn named<T>(row: &PgRow, column: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T> {
    let name: &str = get(row, column)?;
    parse(name).ok_or_else(|| damaged(column, format!("unknown name {name:?}")))
}

pub(super) fn tenant(row: &PgRow) -> Result<Tenant> {
    Tenant::parse(get(row, "tenant")?)
}

/// The JSON text of a document.
pub(super) fn text(document: &impl Serialize) -> Result<String> {
    serde_json::to_string(document).map_err(|error| Error::invalid("postgres.write", "no JSON form").with_source(error))
}

/// The SQL keyword for the direction of a sort.
pub(super) fn direction(order: SortOrder) -> &'static str {
    match order {
        SortOrder::Asc => "ASC",
        SortOrder::Desc => "DESC",
    }
}

/// Adds the offset and limit of a page. The limit includes one more row, which shows whether another page follows.
pub(super) fn push_page(sql: &mut QueryBuilder<Postgres>, offset: u32, limit: u32) {
    sql.push(" LIMIT ").push_bind(i64::from(limit) + 1).push(" OFFSET ").push_bind(i64::from(offset));
}

/// The columns that [`run`] reads.
pub(super) const RUN: &str =
    "r.run_id, r.thread_id, r.assistant_id, r.graph_id, r.metadata, r.status, r.kwargs, r.multitask_strategy,
    r.resumable, r.temporary, r.webhook, r.origin, r.attempt, r.created_at, r.updated_at";

pub(super) fn run(row: &PgRow) -> Result<Run> {
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
        attempt: attempt(row)?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

/// The requested cancel, from `cancel_action` and `cancel_reason`.
pub(super) fn cancel(row: &PgRow) -> Result<Option<CancelRequest>> {
    let action: Option<&str> = get(row, "cancel_action")?;
    let Some(action) = action.and_then(CancelAction::parse) else { return Ok(None) };
    let reason: Option<String> = get(row, "cancel_reason")?;
    Ok(Some(CancelRequest { action, reason: reason.unwrap_or_default() }))
}

/// The columns that [`thread`] reads.
pub(super) const THREAD: &str =
    "t.thread_id, t.created_at, t.updated_at, t.state_updated_at, t.metadata, t.status, t.config, t.\"values\",
    t.interrupts, t.error, t.ttl_strategy, t.ttl_minutes, t.pruned_at";

pub(super) fn thread(row: &PgRow) -> Result<Thread> {
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

fn ttl(row: &PgRow) -> Result<Option<ThreadTtl>> {
    let Some(minutes) = get(row, "ttl_minutes")? else { return Ok(None) };
    Ok(Some(ThreadTtl { strategy: named(row, "ttl_strategy", PruneStrategy::parse)?, minutes }))
}

/// The columns that [`assistant`] reads.
pub(super) const ASSISTANT: &str =
    "v.assistant_id, v.graph_id, v.config, v.context, v.metadata, v.name, v.description, v.version,
    a.created_at, v.updated_at";

pub(super) fn assistant(row: &PgRow) -> Result<Assistant> {
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

/// The columns that [`cron`] reads.
pub(super) const CRON: &str =
    "cron_id, assistant_id, thread_id, creator, schedule, timezone, end_time, payload, metadata,
    on_run_completed, enabled, next_run_date, created_at, updated_at";

pub(super) fn cron(row: &PgRow) -> Result<Cron> {
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
