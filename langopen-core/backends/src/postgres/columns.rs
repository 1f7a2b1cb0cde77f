//! Errors of the database, and the columns of rows.

use langopen_core::error::{Error, Result};
use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, QueryBuilder, Row, Type};

use super::connection;
pub(super) use crate::sql_rows::{
    api_key, assistant, attempt, cancel, count, cron, damaged, direction, json, limit, named, raw, raw_or_null, run,
    tenant, text, thread, time,
};

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

/// A column's value.
pub(super) fn get<'r, T: Decode<'r, Postgres> + Type<Postgres>>(row: &'r PgRow, column: &str) -> Result<T> {
    row.try_get(column).map_err(|error| damaged(column, error))
}

crate::sql_rows::sql_row!(PgRow, get);

/// Adds the offset and limit of a page. The limit includes one more row, which shows whether another page follows.
pub(super) fn push_page(sql: &mut QueryBuilder<Postgres>, offset: u32, limit: u32) {
    sql.push(" LIMIT ").push_bind(i64::from(limit) + 1).push(" OFFSET ").push_bind(i64::from(offset));
}

/// The columns that [`run`] reads.
pub(super) const RUN: &str =
    "r.run_id, r.thread_id, r.assistant_id, r.graph_id, r.metadata, r.status, r.kwargs, r.multitask_strategy,
    r.resumable, r.temporary, r.webhook, r.origin, r.attempt, r.created_at, r.updated_at";

/// The columns that [`thread`] reads.
pub(super) const THREAD: &str =
    "t.thread_id, t.created_at, t.updated_at, t.state_updated_at, t.metadata, t.status, t.config, t.\"values\",
    t.interrupts, t.error, t.ttl_strategy, t.ttl_minutes, t.pruned_at";

/// The columns that [`assistant`] reads.
pub(super) const ASSISTANT: &str =
    "v.assistant_id, v.graph_id, v.config, v.context, v.metadata, v.name, v.description, v.version,
    a.created_at, v.updated_at";

/// The columns that [`cron`] reads.
pub(super) const CRON: &str =
    "cron_id, assistant_id, thread_id, creator, schedule, timezone, end_time, payload, metadata,
    on_run_completed, enabled, next_run_date, created_at, updated_at";
