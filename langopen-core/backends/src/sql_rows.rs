//! Rows of an SQL database as types of the model, written once for every backend over SQL.

use langopen_core::auth::{KeyScope, Role};
use langopen_core::clock::Timestamp;
use langopen_core::error::{Error, Result};
use langopen_core::ids::{ApiKeyId, AssistantId, CronId, RunId, ThreadId};
use langopen_core::json::{JsonMap, RawJson};
use langopen_core::model::{
    Assistant, CancelAction, CancelRequest, Cron, MultitaskStrategy, OnCompletion, PruneStrategy, Run, SortOrder,
    StoredApiKey, Thread, ThreadStatus, ThreadTtl,
};
use langopen_core::run_state::RunStatus;
use langopen_core::tenant::Tenant;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// The values of a row, by the names of its columns. The backends implement it with [`sql_row`].
pub(crate) trait SqlRow {
    fn text(&self, column: &str) -> Result<&str>;
    fn text_or_null(&self, column: &str) -> Result<Option<&str>>;
    fn integer(&self, column: &str) -> Result<i64>;
    fn integer_or_null(&self, column: &str) -> Result<Option<i64>>;
    fn number_or_null(&self, column: &str) -> Result<Option<f64>>;
    fn flag(&self, column: &str) -> Result<bool>;
    fn id(&self, column: &str) -> Result<Uuid>;
    fn id_or_null(&self, column: &str) -> Result<Option<Uuid>>;
}

/// Implements [`SqlRow`] for a row of sqlx, by a function that reads one column.
macro_rules! sql_row {
    ($row:ty, $get:path) => {
        impl $crate::sql_rows::SqlRow for $row {
            fn text(&self, column: &str) -> langopen_core::Result<&str> {
                $get(self, column)
            }
            fn text_or_null(&self, column: &str) -> langopen_core::Result<Option<&str>> {
                $get(self, column)
            }
            fn integer(&self, column: &str) -> langopen_core::Result<i64> {
                $get(self, column)
            }
            fn integer_or_null(&self, column: &str) -> langopen_core::Result<Option<i64>> {
                $get(self, column)
            }
            fn number_or_null(&self, column: &str) -> langopen_core::Result<Option<f64>> {
                $get(self, column)
            }
            fn flag(&self, column: &str) -> langopen_core::Result<bool> {
                $get(self, column)
            }
            fn id(&self, column: &str) -> langopen_core::Result<uuid::Uuid> {
                $get(self, column)
            }
            fn id_or_null(&self, column: &str) -> langopen_core::Result<Option<uuid::Uuid>> {
                $get(self, column)
            }
        }
    };
}
pub(crate) use sql_row;

pub(crate) fn damaged(column: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::internal("sql.read", format!("column {column:?} has an invalid value")).with_source(error)
}

/// A count. SQL databases have no unsigned integers.
pub(crate) fn count(row: &impl SqlRow, column: &str) -> Result<u64> {
    row.integer(column).map(i64::unsigned_abs)
}

/// The attempt number of a run.
pub(crate) fn attempt(row: &impl SqlRow) -> Result<u32> {
    u32::try_from(row.integer("attempt")?).map_err(|error| damaged("attempt", error))
}

/// A limit; `None` for no limit.
pub(crate) fn limit(row: &impl SqlRow, column: &str) -> Result<Option<u32>> {
    row.integer_or_null(column)?.map(u32::try_from).transpose().map_err(|error| damaged(column, error))
}

pub(crate) fn time(row: &impl SqlRow, column: &str) -> Result<Timestamp> {
    row.integer(column).map(Timestamp::from_micros)
}

fn time_or_null(row: &impl SqlRow, column: &str) -> Result<Option<Timestamp>> {
    row.integer_or_null(column).map(|micros| micros.map(Timestamp::from_micros))
}

/// Decodes a JSON document.
pub(crate) fn json<T: DeserializeOwned>(row: &impl SqlRow, column: &str) -> Result<T> {
    serde_json::from_str(row.text(column)?).map_err(|error| damaged(column, error))
}

/// Decodes a JSON document; NULL becomes the default value.
fn json_or_default<T: DeserializeOwned + Default>(row: &impl SqlRow, column: &str) -> Result<T> {
    let text = row.text_or_null(column)?;
    text.map_or_else(|| Ok(T::default()), |text| serde_json::from_str(text).map_err(|error| damaged(column, error)))
}

/// A JSON document as text.
pub(crate) fn raw(row: &impl SqlRow, column: &str) -> Result<RawJson> {
    RawJson::from_text(row.text(column)?.to_owned()).map_err(|error| damaged(column, error))
}

pub(crate) fn raw_or_null(row: &impl SqlRow, column: &str) -> Result<Option<RawJson>> {
    let text = row.text_or_null(column)?.map(str::to_owned);
    text.map(RawJson::from_text).transpose().map_err(|error| damaged(column, error))
}

pub(crate) fn named<T>(row: &impl SqlRow, column: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T> {
    let name = row.text(column)?;
    parse(name).ok_or_else(|| damaged(column, format!("unknown name {name:?}")))
}

pub(crate) fn tenant(row: &impl SqlRow) -> Result<Tenant> {
    Tenant::parse(row.text("tenant")?)
}

/// The JSON text of a document.
pub(crate) fn text(document: &impl Serialize) -> Result<String> {
    serde_json::to_string(document).map_err(|error| Error::invalid("sql.write", "no JSON form").with_source(error))
}

/// The SQL keyword for the direction of a sort.
pub(crate) fn direction(order: SortOrder) -> &'static str {
    match order {
        SortOrder::Asc => "ASC",
        SortOrder::Desc => "DESC",
    }
}

pub(crate) fn run(row: &impl SqlRow) -> Result<Run> {
    Ok(Run {
        run_id: RunId(row.id("run_id")?),
        thread_id: ThreadId(row.id("thread_id")?),
        assistant_id: AssistantId(row.id("assistant_id")?),
        graph_id: row.text("graph_id")?.to_owned(),
        metadata: json(row, "metadata")?,
        status: named(row, "status", RunStatus::parse)?,
        kwargs: raw(row, "kwargs")?,
        multitask_strategy: named(row, "multitask_strategy", MultitaskStrategy::parse)?,
        resumable: row.flag("resumable")?,
        temporary: row.flag("temporary")?,
        webhook: row.text_or_null("webhook")?.map(str::to_owned),
        origin: json_or_default(row, "origin")?,
        attempt: attempt(row)?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

/// The requested cancel, from `cancel_action` and `cancel_reason`.
pub(crate) fn cancel(row: &impl SqlRow) -> Result<Option<CancelRequest>> {
    let action = row.text_or_null("cancel_action")?;
    let Some(action) = action.and_then(CancelAction::parse) else { return Ok(None) };
    let reason = row.text_or_null("cancel_reason")?.unwrap_or_default().to_owned();
    Ok(Some(CancelRequest { action, reason }))
}

pub(crate) fn thread(row: &impl SqlRow) -> Result<Thread> {
    Ok(Thread {
        thread_id: ThreadId(row.id("thread_id")?),
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
        pruned_at: time_or_null(row, "pruned_at")?,
    })
}

fn ttl(row: &impl SqlRow) -> Result<Option<ThreadTtl>> {
    let Some(minutes) = row.number_or_null("ttl_minutes")? else { return Ok(None) };
    Ok(Some(ThreadTtl { strategy: named(row, "ttl_strategy", PruneStrategy::parse)?, minutes }))
}

pub(crate) fn assistant(row: &impl SqlRow) -> Result<Assistant> {
    Ok(Assistant {
        assistant_id: AssistantId(row.id("assistant_id")?),
        graph_id: row.text("graph_id")?.to_owned(),
        config: json(row, "config")?,
        context: json(row, "context")?,
        metadata: json(row, "metadata")?,
        name: row.text("name")?.to_owned(),
        description: row.text_or_null("description")?.map(str::to_owned),
        version: row.integer("version")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

pub(crate) fn cron(row: &impl SqlRow) -> Result<Cron> {
    Ok(Cron {
        cron_id: CronId(row.id("cron_id")?),
        assistant_id: AssistantId(row.id("assistant_id")?),
        thread_id: row.id_or_null("thread_id")?.map(ThreadId),
        creator: json(row, "creator")?,
        schedule: row.text("schedule")?.to_owned(),
        timezone: row.text_or_null("timezone")?.map(str::to_owned),
        end_time: time_or_null(row, "end_time")?,
        payload: raw(row, "payload")?,
        metadata: json(row, "metadata")?,
        on_run_completed: row.text_or_null("on_run_completed")?.and_then(OnCompletion::parse),
        enabled: row.flag("enabled")?,
        next_run_date: time_or_null(row, "next_run_date")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

pub(crate) fn api_key(row: &impl SqlRow) -> Result<StoredApiKey> {
    Ok(StoredApiKey {
        key_id: ApiKeyId(row.id("key_id")?),
        name: row.text("name")?.to_owned(),
        hash: row.text("hash")?.parse().map_err(|error: String| damaged("hash", error))?,
        prefix: row.text("prefix")?.to_owned(),
        scope: KeyScope::parse(row.text("scope")?)?,
        role: named(row, "role", Role::parse)?,
        created_at: time(row, "created_at")?,
        expires_at: time_or_null(row, "expires_at")?,
        revoked_at: time_or_null(row, "revoked_at")?,
        last_used_at: time_or_null(row, "last_used_at")?,
    })
}
