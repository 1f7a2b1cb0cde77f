//! Errors of the database, and the columns of rows.

use langopen_core::error::{Error, Result};
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, QueryBuilder, Row, Sqlite, Type};
use uuid::Uuid;

pub(super) use crate::sql_rows::{
    api_key, assistant, cancel, cron, damaged, direction, json, limit, named, raw, raw_or_null, run, tenant, text,
    thread, time,
};

/// Adds to a database error the operation in which it happened.
pub(super) trait Context<T> {
    fn context(self, operation: &'static str) -> Result<T>;
}

impl<T> Context<T> for Result<T, sqlx::Error> {
    fn context(self, operation: &'static str) -> Result<T> {
        self.map_err(|error| Error::unavailable(operation, "SQLite failed").with_source(error))
    }
}

/// A column's value.
pub(super) fn get<'r, T: Decode<'r, Sqlite> + Type<Sqlite>>(row: &'r SqliteRow, column: &str) -> Result<T> {
    row.try_get(column).map_err(|error| damaged(column, error))
}

crate::sql_rows::sql_row!(SqliteRow, get);

/// Encodes ids as one parameter: a JSON array of hexadecimal text. SQL reads it with `SELECT unhex(value) FROM
/// json_each(?)`.
pub(super) fn id_list(ids: impl IntoIterator<Item = Uuid>) -> Result<String> {
    text(&ids.into_iter().map(|id| id.simple().to_string()).collect::<Vec<_>>())
}

/// Adds the offset and limit of a page. The limit includes one more row, which shows whether another page follows.
pub(super) fn push_page(sql: &mut QueryBuilder<Sqlite>, offset: u32, limit: u32) {
    sql.push(" LIMIT ").push_bind(i64::from(limit) + 1).push(" OFFSET ").push_bind(offset);
}
