//! Rows of what is kept of logs.

use std::collections::VecDeque;
use std::time::Duration;

use futures::{FutureExt, TryStreamExt};
use langopen_core::error::Result;
use langopen_core::event_log::{Event, EventId, LogKey};
use langopen_core::ids::{RunId, ThreadId};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, SqliteConnection};
use uuid::Uuid;

use super::Sqlite;
use super::columns::{Context, get, id_list};
use super::writer::{run_together, together};

/// How many events are read at once.
const PAGE: usize = 64;

/// The bytes of data that end a page before it is full. A reader may be slow, and events large.
const PAGE_BYTES: usize = 64 * 1024;

/// How many logs one sweep removes at most, so that it does not hold others up for long.
const SWEPT: i64 = 500;

/// Most events in one statement: SQLite takes 32766 parameters.
const ROWS: usize = 1000;

/// What is known of a run's log.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogRow {
    /// An id before the run's first event, and after none of the thread's earlier ones.
    pub(super) before: EventId,
    pub(super) ended: bool,
}

/// When a run's log has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Now.
    Now,
    /// Before.
    Before,
    /// Nothing is kept of it.
    NotKept,
}

/// SQLite's integers are signed; no clock reaches beyond them.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn id(row: &SqliteRow, millis: &str, sequence: &str) -> Result<EventId> {
    let number = |column| get::<i64>(row, column).map(|number| u64::try_from(number).unwrap_or(0));
    Ok(EventId { millis: number(millis)?, sequence: number(sequence)? })
}

fn previous(id: EventId) -> EventId {
    match id.sequence.checked_sub(1) {
        Some(sequence) => EventId { millis: id.millis, sequence },
        None => EventId { millis: id.millis.saturating_sub(1), sequence: u64::MAX },
    }
}

async fn insert(
    operation: &'static str,
    db: &mut SqliteConnection,
    thread_id: ThreadId,
    run_id: Option<RunId>,
    events: &[Event],
) -> Result<()> {
    let (Some(first), Some(last)) = (events.first(), events.last()) else { return Ok(()) };
    let mut statements = Vec::with_capacity(2);
    if run_id.is_some() {
        statements.push(
            "INSERT INTO event_logs (run_id, thread_id, first_millis, first_sequence, last_millis) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET last_millis = excluded.last_millis"
                .to_owned(),
        );
    }
    for chunk in events.chunks(ROWS) {
        let mut sql =
            "INSERT INTO events (thread_id, millis, sequence, run_id, name, data) VALUES (?, ?, ?, ?, ?, ?)".to_owned();
        (1..chunk.len()).for_each(|_| sql.push_str(", (?, ?, ?, ?, ?, ?)"));
        statements.push(sql);
    }
    let mut query = sqlx::query(together(db, &statements.join("; ")));
    if let Some(run_id) = run_id {
        query = query.bind(run_id.0).bind(thread_id.0).bind(signed(first.id.millis)).bind(signed(first.id.sequence));
        query = query.bind(signed(last.id.millis));
    }
    for event in events {
        query = query.bind(thread_id.0).bind(signed(event.id.millis)).bind(signed(event.id.sequence));
        query = query.bind(run_id.map(|run_id| run_id.0)).bind(&*event.name).bind(&event.data[..]);
    }
    // Batches are of any size: keeping the prepared text of each would push out what is used all the time.
    run_together(operation, db, query.persistent(events.len() == 1)).await.map(drop)
}

/// Which logs ended so long ago that they are removed now.
const OVER: &str = "SELECT * FROM event_logs WHERE ended_at <= ? ORDER BY ended_at, run_id LIMIT ?";

impl Sqlite {
    pub(super) async fn log_row(&self, run_id: RunId) -> Result<Option<LogRow>> {
        let row = sqlx::query(
            "SELECT first_millis, first_sequence, ended_at IS NOT NULL AS ended FROM event_logs WHERE run_id = ?",
        );
        let row = row.bind(run_id.0).fetch_optional(self.readers()).await.context("event_log.read")?;
        let decode = |row: SqliteRow| {
            Ok(LogRow { before: previous(id(&row, "first_millis", "first_sequence")?), ended: get(&row, "ended")? })
        };
        row.map(decode).transpose()
    }

    /// The last event that is kept of a thread; zero if there is none.
    pub(super) async fn last_event(&self, thread_id: ThreadId) -> Result<EventId> {
        let row = sqlx::query(
            "SELECT millis, sequence FROM events WHERE thread_id = ? ORDER BY millis DESC, sequence DESC LIMIT 1",
        );
        let row = row.bind(thread_id.0).fetch_optional(self.readers()).await.context("event_log.read")?;
        row.map_or(Ok(EventId::ZERO), |row| id(&row, "millis", "sequence"))
    }

    /// Keeps events of a run, and gives them back when they are kept.
    pub(super) async fn keep_events(&self, log: LogKey, events: Vec<Event>) -> Result<Vec<Event>> {
        self.insert_events(log.thread_id, Some(log.run_id), events).await
    }

    /// Keeps events of a thread itself, and gives them back when they are kept.
    pub(super) async fn keep_thread_events(&self, thread_id: ThreadId, events: Vec<Event>) -> Result<Vec<Event>> {
        self.insert_events(thread_id, None, events).await
    }

    async fn insert_events(
        &self,
        thread_id: ThreadId,
        run_id: Option<RunId>,
        events: Vec<Event>,
    ) -> Result<Vec<Event>> {
        const OPERATION: &str = "event_log.append";
        self.write_whole(OPERATION, move |db| {
            async move { insert(OPERATION, db, thread_id, run_id, &events).await.map(|()| events) }.boxed()
        })
        .await
    }

    /// The first page of what is kept of a thread, or of one of its runs, after an event and up to another; and whether
    /// more may follow.
    pub(super) async fn kept_events(
        &self,
        thread_id: ThreadId,
        run_id: Option<RunId>,
        after: EventId,
        until: EventId,
    ) -> Result<(VecDeque<Event>, bool)> {
        const OPERATION: &str = "event_log.read";
        let rows = sqlx::query(
            "SELECT millis, sequence, run_id, name, data FROM events WHERE thread_id = ?1
                AND (millis, sequence) > (?2, ?3) AND (millis, sequence) <= (?4, ?5) AND (?6 IS NULL OR run_id = ?6)
             ORDER BY millis, sequence LIMIT ?7",
        );
        let rows = rows.bind(thread_id.0).bind(signed(after.millis)).bind(signed(after.sequence));
        let rows = rows.bind(signed(until.millis)).bind(signed(until.sequence));
        let rows = rows.bind(run_id.map(|run_id| run_id.0)).bind(signed(PAGE as u64));
        let mut rows = rows.fetch(self.readers());
        let decode = |row: &SqliteRow| -> Result<Event> {
            let name: &str = get(row, "name")?;
            Ok(Event {
                id: id(row, "millis", "sequence")?,
                run_id: get::<Option<Uuid>>(row, "run_id")?.map(RunId),
                name: name.into(),
                data: get::<Vec<u8>>(row, "data")?.into(),
            })
        };
        let (mut page, mut bytes) = (VecDeque::new(), 0);
        while let Some(row) = rows.try_next().await.context(OPERATION)? {
            let event = decode(&row)?;
            bytes += event.data.len();
            page.push_back(event);
            if bytes >= PAGE_BYTES {
                return Ok((page, true));
            }
        }
        let more = page.len() == PAGE;
        Ok((page, more))
    }

    /// Marks a run's log as ended, if anything is kept of it and it has not ended before; then `done` is kept of its
    /// thread.
    pub(super) async fn end_log(&self, log: LogKey, done: Event) -> Result<Ending> {
        const OPERATION: &str = "event_log.end";
        let now = self.now();
        self.write(OPERATION, move |db| {
            async move {
                let ended = sqlx::query("SELECT ended_at IS NOT NULL AS ended FROM event_logs WHERE run_id = ?");
                let ended = ended.bind(log.run_id.0).fetch_optional(&mut *db).await.context(OPERATION)?;
                match ended.map(|row| get(&row, "ended")).transpose()? {
                    None => return Ok(Ending::NotKept),
                    Some(true) => return Ok(Ending::Before),
                    Some(false) => {}
                }
                let end = sqlx::query("UPDATE event_logs SET ended_at = ? WHERE run_id = ?");
                end.bind(now.as_micros()).bind(log.run_id.0).execute(&mut *db).await.context(OPERATION)?;
                insert(OPERATION, db, log.thread_id, None, &[done]).await?;
                Ok(Ending::Now)
            }
            .boxed()
        })
        .await
    }

    /// Removes what is kept of a thread and its runs.
    pub(super) async fn remove_events(&self, thread_id: ThreadId) -> Result<()> {
        const OPERATION: &str = "event_log.remove";
        let kept = sqlx::query("SELECT EXISTS (SELECT 1 FROM events WHERE thread_id = ?) AS kept").bind(thread_id.0);
        // Most threads keep nothing when they are removed, and then nothing is written.
        if !get::<bool>(&kept.fetch_one(self.readers()).await.context(OPERATION)?, "kept")? {
            return Ok(());
        }
        self.write_whole(OPERATION, move |db| {
            async move {
                let sql = together(
                    db,
                    "DELETE FROM event_logs WHERE run_id IN
                        (SELECT run_id FROM events WHERE thread_id = ? AND run_id IS NOT NULL);
                     DELETE FROM events WHERE thread_id = ?",
                );
                run_together(OPERATION, db, sqlx::query(sql).bind(thread_id.0).bind(thread_id.0)).await.map(drop)
            }
            .boxed()
        })
        .await
    }

    /// Logs that never ended though their runs are over or gone, and nothing was appended for a while: their process
    /// died just then.
    pub(super) async fn orphaned_logs(&self, retention: Duration) -> Result<Vec<LogKey>> {
        let before = self.now().as_millis().saturating_sub(i64::try_from(retention.as_millis()).unwrap_or(i64::MAX));
        let rows = sqlx::query(
            "SELECT thread_id, run_id FROM event_logs l WHERE ended_at IS NULL AND last_millis <= ? AND NOT EXISTS
                (SELECT 1 FROM runs r WHERE r.run_id = l.run_id AND r.status IN ('pending', 'running')) LIMIT ?",
        );
        let rows = rows.bind(before).bind(SWEPT).fetch_all(self.readers()).await.context("event_log.sweep")?;
        let decode = |row: &SqliteRow| {
            Ok(LogKey { thread_id: ThreadId(get(row, "thread_id")?), run_id: RunId(get(row, "run_id")?) })
        };
        rows.iter().map(decode).collect()
    }

    /// Removes the logs that ended before the retention and what was said of threads then, and ends the orphaned ones;
    /// tells how many logs were removed.
    pub(super) async fn sweep_logs(&self, orphaned: impl Iterator<Item = RunId>, retention: Duration) -> Result<u64> {
        const OPERATION: &str = "event_log.sweep";
        let now = self.now();
        let before = now.as_micros().saturating_sub(i64::try_from(retention.as_micros()).unwrap_or(i64::MAX));
        let orphaned: Vec<_> = orphaned.map(|run_id| run_id.0).collect();
        let over = sqlx::query(
            "SELECT EXISTS (SELECT 1 FROM event_logs WHERE ended_at <= ?)
                OR EXISTS (SELECT 1 FROM events WHERE run_id IS NULL AND millis <= ?) AS over",
        );
        let over = over.bind(before).bind(before / 1000).fetch_one(self.readers()).await.context(OPERATION)?;
        // Most sweeps find nothing, and then nothing is written.
        if orphaned.is_empty() && !get::<bool>(&over, "over")? {
            return Ok(0);
        }
        let orphaned = id_list(orphaned)?;
        self.write(OPERATION, move |db| {
            async move {
                let end = "UPDATE event_logs SET ended_at = ? WHERE run_id IN (SELECT unhex(value) FROM json_each(?))";
                let end = sqlx::query(end).bind(now.as_micros()).bind(orphaned);
                end.execute(&mut *db).await.context(OPERATION)?;
                let events = AssertSqlSafe(format!(
                    "DELETE FROM events WHERE rowid IN (SELECT e.rowid FROM ({OVER}) l CROSS JOIN events e
                        ON e.thread_id = l.thread_id AND e.millis BETWEEN l.first_millis AND l.last_millis AND e.run_id = l.run_id)"
                ));
                let events = sqlx::query(events).bind(before).bind(SWEPT);
                events.execute(&mut *db).await.context(OPERATION)?;
                let logs = AssertSqlSafe(format!("DELETE FROM event_logs WHERE run_id IN (SELECT run_id FROM ({OVER}))"));
                let logs = sqlx::query(logs).bind(before).bind(SWEPT).execute(&mut *db).await.context(OPERATION)?;
                let said = sqlx::query(
                    "DELETE FROM events WHERE rowid IN
                        (SELECT rowid FROM events WHERE run_id IS NULL AND millis <= ? ORDER BY millis LIMIT ?)",
                );
                said.bind(before / 1000).bind(SWEPT).execute(db).await.context(OPERATION)?;
                Ok(logs.rows_affected())
            }
            .boxed()
        })
        .await
    }
}
