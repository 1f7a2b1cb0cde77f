//! Rows of records.

use langopen_core::error::Result;
use langopen_core::event_log::EventId;
use sqlx::postgres::PgRow;

use super::super::columns::get;
use crate::shared_log::{Page, Record};

/// How many records one query reads.
pub(super) const PAGE: usize = 32;

/// Postgres has no unsigned numbers. No clock reaches beyond the signed ones.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Reads a position from two columns.
pub(super) fn position(row: &PgRow, millis: &str, sequence: &str) -> Result<EventId> {
    Ok(EventId { millis: unsigned(get(row, millis)?), sequence: unsigned(get(row, sequence)?) })
}

/// Reads a position from two columns; `None` if they are null.
pub(super) fn position_or_none(row: &PgRow, millis: &str, sequence: &str) -> Result<Option<EventId>> {
    match get::<Option<i64>>(row, millis)? {
        Some(_) => position(row, millis, sequence).map(Some),
        None => Ok(None),
    }
}

/// Reads a page of records from their columns `millis`, `sequence`, `before_millis`, `before_sequence` and `bytes`.
pub(super) fn page(rows: &[PgRow]) -> Result<Page> {
    let record = |row: &PgRow| {
        let (before, last) = (position(row, "before_millis", "before_sequence")?, position(row, "millis", "sequence")?);
        Record::decode(before, last, get::<Vec<u8>>(row, "bytes")?.into())
    };
    let records = rows.iter().map(record).collect::<Result<_>>()?;
    Ok(Page { records, more: rows.len() == PAGE })
}
