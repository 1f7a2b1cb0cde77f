//! Rows of records.

use langopen_core::error::Result;
use langopen_core::event_log::EventId;
use sqlx::postgres::PgRow;

use super::super::columns::get;
use crate::shared_log::{Page, Record};

/// How many records are read at once.
pub(super) const PAGE: usize = 32;

/// Postgres knows no numbers without a sign; no clock reaches beyond them.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The place in two columns.
pub(super) fn place(row: &PgRow, millis: &str, sequence: &str) -> Result<EventId> {
    Ok(EventId { millis: unsigned(get(row, millis)?), sequence: unsigned(get(row, sequence)?) })
}

/// The place in two columns, if it is there.
pub(super) fn place_or_none(row: &PgRow, millis: &str, sequence: &str) -> Result<Option<EventId>> {
    match get::<Option<i64>>(row, millis)? {
        Some(_) => place(row, millis, sequence).map(Some),
        None => Ok(None),
    }
}

/// A page of records, from their columns `millis`, `sequence`, `before_millis`, `before_sequence` and `bytes`.
pub(super) fn page(rows: &[PgRow]) -> Result<Page> {
    let record = |row: &PgRow| {
        let (before, last) = (place(row, "before_millis", "before_sequence")?, place(row, "millis", "sequence")?);
        Record::decode(before, last, get::<Vec<u8>>(row, "bytes")?.into())
    };
    let records = rows.iter().map(record).collect::<Result<_>>()?;
    Ok(Page { records, more: rows.len() == PAGE })
}
