//! Rows of the logs of resumable runs.

use std::collections::VecDeque;
use std::time::Duration;

use futures::FutureExt;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::Sqlite;
use super::columns::{Context, get, id_list};
use super::writer::{run_together, together};
use crate::error::Result;
use crate::event_log::{Event, EventId};
use crate::ids::RunId;

/// How many events are read at once; a reader may be slow, and events large.
pub(super) const PAGE: usize = 64;

/// How many logs one sweep removes at most, so that it does not hold others up for long.
const SWEPT: i64 = 500;

/// Most events in one statement: SQLite takes 32766 parameters.
const ROWS: usize = 1000;

/// What is known of a log.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogRow {
    pub(super) last: EventId,
    pub(super) ended: bool,
}

/// SQLite's integers are signed; no clock reaches beyond them.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn id(row: &SqliteRow, millis: &str, sequence: &str) -> Result<EventId> {
    let number = |column| get::<i64>(row, column).map(|number| u64::try_from(number).unwrap_or(0));
    Ok(EventId { millis: number(millis)?, sequence: number(sequence)? })
}

async fn insert(db: &mut SqliteConnection, run_id: RunId, events: &[Event]) -> Result<()> {
    const OPERATION: &str = "event_log.append";
    let Some(last) = events.last() else { return Ok(()) };
    let mut sql = "INSERT INTO event_logs (run_id, last_millis, last_sequence) VALUES (?, ?, ?)
         ON CONFLICT DO UPDATE SET last_millis = excluded.last_millis, last_sequence = excluded.last_sequence"
        .to_owned();
    for chunk in events.chunks(ROWS) {
        sql.push_str("; INSERT INTO events (run_id, millis, sequence, name, data) VALUES (?, ?, ?, ?, ?)");
        (1..chunk.len()).for_each(|_| sql.push_str(", (?, ?, ?, ?, ?)"));
    }
    let query = sqlx::query(together(db, &sql));
    let mut query = query.bind(run_id.0).bind(signed(last.id.millis)).bind(signed(last.id.sequence));
    for event in events {
        query = query.bind(run_id.0).bind(signed(event.id.millis)).bind(signed(event.id.sequence));
        query = query.bind(&*event.name).bind(&event.data[..]);
    }
    // Batches are of any size: keeping the prepared text of each would push out what is used all the time.
    run_together(OPERATION, db, query.persistent(events.len() == 1)).await.map(drop)
}

impl Sqlite {
    pub(super) async fn log_row(&self, run_id: RunId) -> Result<Option<LogRow>> {
        let row = sqlx::query(
            "SELECT last_millis, last_sequence, ended_at IS NOT NULL AS ended FROM event_logs WHERE run_id = ?",
        );
        let row = row.bind(run_id.0).fetch_optional(self.readers()).await.context("event_log.read")?;
        let decode =
            |row: SqliteRow| Ok(LogRow { last: id(&row, "last_millis", "last_sequence")?, ended: get(&row, "ended")? });
        row.map(decode).transpose()
    }

    /// Keeps events, and gives them back when they are kept.
    pub(super) async fn keep_events(&self, run_id: RunId, events: Vec<Event>) -> Result<Vec<Event>> {
        self.write_whole("event_log.append", move |db| {
            async move { insert(db, run_id, &events).await.map(|()| events) }.boxed()
        })
        .await
    }

    /// The first page of what is kept of a log after an event.
    pub(super) async fn kept_events(&self, run_id: RunId, after: EventId) -> Result<VecDeque<Event>> {
        let rows = sqlx::query(
            "SELECT millis, sequence, name, data FROM events WHERE run_id = ? AND (millis, sequence) > (?, ?)
             ORDER BY millis, sequence LIMIT ?",
        );
        let rows =
            rows.bind(run_id.0).bind(signed(after.millis)).bind(signed(after.sequence)).bind(signed(PAGE as u64));
        let rows = rows.fetch_all(self.readers()).await.context("event_log.read")?;
        let decode = |row: &SqliteRow| {
            let name: &str = get(row, "name")?;
            Ok(Event {
                id: id(row, "millis", "sequence")?,
                name: name.into(),
                data: get::<Vec<u8>>(row, "data")?.into(),
            })
        };
        rows.iter().map(decode).collect()
    }

    /// Marks a log as ended, if anything is kept of it.
    pub(super) async fn end_log(&self, run_id: RunId) -> Result<()> {
        const OPERATION: &str = "event_log.end";
        let now = self.now();
        self.write_whole(OPERATION, move |db| {
            async move {
                let end = sqlx::query("UPDATE event_logs SET ended_at = coalesce(ended_at, ?) WHERE run_id = ?");
                end.bind(now.as_micros()).bind(run_id.0).execute(db).await.context(OPERATION)?;
                Ok(())
            }
            .boxed()
        })
        .await
    }

    /// Logs that never ended though their runs are over or gone, and nothing was appended for a while: their process died just then.
    pub(super) async fn orphaned_logs(&self, retention: Duration) -> Result<Vec<RunId>> {
        let before = self.now().as_millis().saturating_sub(i64::try_from(retention.as_millis()).unwrap_or(i64::MAX));
        let rows = sqlx::query(
            "SELECT run_id FROM event_logs l WHERE ended_at IS NULL AND last_millis <= ? AND NOT EXISTS
                (SELECT 1 FROM runs r WHERE r.run_id = l.run_id AND r.status IN ('pending', 'running')) LIMIT ?",
        );
        let rows = rows.bind(before).bind(SWEPT).fetch_all(self.readers()).await.context("event_log.sweep")?;
        rows.iter().map(|row| get(row, "run_id").map(RunId)).collect()
    }

    /// Removes the logs that ended before the retention, and ends the orphaned ones; tells how many were removed.
    pub(super) async fn sweep_logs(&self, orphaned: Vec<RunId>, retention: Duration) -> Result<u64> {
        const OPERATION: &str = "event_log.sweep";
        let now = self.now();
        let before = now.as_micros().saturating_sub(i64::try_from(retention.as_micros()).unwrap_or(i64::MAX));
        let over = sqlx::query("SELECT count(*) FROM event_logs WHERE ended_at <= ?").bind(before);
        let over = over.fetch_one(self.readers()).await.context(OPERATION)?;
        // Most sweeps find nothing, and then nothing is written.
        if orphaned.is_empty() && over.try_get::<i64, _>(0).context(OPERATION)? == 0 {
            return Ok(0);
        }
        let orphaned = id_list(orphaned.into_iter().map(|run_id| run_id.0))?;
        self.write(OPERATION, move |db| {
            async move {
                let end = "UPDATE event_logs SET ended_at = ? WHERE run_id IN (SELECT unhex(value) FROM json_each(?))";
                let end = sqlx::query(end).bind(now.as_micros()).bind(orphaned);
                end.execute(&mut *db).await.context(OPERATION)?;
                let remove = sqlx::query(
                    "DELETE FROM event_logs WHERE run_id IN (SELECT run_id FROM event_logs WHERE ended_at <= ? LIMIT ?)",
                );
                let removed = remove.bind(before).bind(SWEPT).execute(db).await.context(OPERATION)?;
                Ok(removed.rows_affected())
            }
            .boxed()
        })
        .await
    }
}
