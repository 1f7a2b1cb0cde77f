//! Appending: what is appended at the same time is one statement, and one commit.

use std::sync::Arc;

use langopen_core::error::Result;
use langopen_core::ids::ThreadId;
use langopen_core::signals::{Signal, Signals};
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::super::Postgres;
use super::super::columns::{Context, get};
use super::group::{Calls, answer};
use super::rows::{place, place_or_none, signed};
use crate::shared_log::{Appended, Write};

const OPERATION: &str = "event_log.append";

/// A record to append.
#[derive(Debug, Clone)]
pub(super) struct Appending {
    pub(super) write: Write,
    /// Whether it is known that the thread is read.
    pub(super) read: bool,
    /// The move since which the log must be in the database.
    pub(super) generation: Option<u64>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    Done(Appended),
    /// The log has moved meanwhile.
    Stale,
}

/// Writes what is appended, until nothing will be.
pub(super) async fn write(db: Postgres, signals: Option<Arc<dyn Signals>>, mut appended: Calls<Appending, Written>) {
    while let Some(calls) = appended.next().await {
        let (appending, askers): (Vec<_>, Vec<_>) = calls.into_iter().unzip();
        let told = |thread_id| {
            if let Some(signals) = &signals {
                signals.send(Signal::Events(thread_id));
            }
        };
        answer(askers, db.append_records(&appending, told).await);
    }
}

fn written(row: &PgRow) -> Result<Written> {
    if get::<Option<bool>>(row, "stale")? == Some(true) {
        return Ok(Written::Stale);
    }
    if get::<Option<bool>>(row, "late")? == Some(true) {
        return Ok(Written::Done(Appended::Late));
    }
    Ok(Written::Done(match place_or_none(row, "last_millis", "last_sequence")? {
        Some(last) => {
            let before = place(row, "before_millis", "before_sequence")?;
            Appended::At { before, last, kept: get(row, "is_kept")?, read: get(row, "is_read")?, settled: true }
        }
        None => Appended::Nowhere,
    }))
}

impl Postgres {
    /// Appends records in one step; the answers are in their order. Several of one thread keep theirs. `told` hears of the threads that someone reads.
    async fn append_records(&self, appending: &[Appending], told: impl Fn(ThreadId)) -> Result<Vec<Written>> {
        // Who takes several locks takes them in the order of ids.
        let mut order: Vec<_> = (0..appending.len()).collect();
        order.sort_by_key(|index| appending[*index].write.thread_id);
        let sorted: Vec<_> = order.iter().map(|index| &appending[*index]).collect();
        let rows = self.retrying(|| self.append_sorted(&sorted)).await?;
        let mut answers = vec![Written::Stale; appending.len()];
        for (row, index) in rows.iter().zip(order) {
            answers[index] = written(row)?;
            if get::<Option<bool>>(row, "is_read")? == Some(true) {
                told(appending[index].write.thread_id);
            }
        }
        Ok(answers)
    }

    async fn append_sorted(&self, appending: &[&Appending]) -> Result<Vec<PgRow>> {
        let writes = || appending.iter().map(|appending| &appending.write);
        let column = |of: fn(&Write) -> i64| writes().map(of).collect::<Vec<_>>();
        let sql = sqlx::query(
            "SELECT a.* FROM unnest($1::UUID[], $2::TEXT[], $3::UUID[], $4::BIGINT[], $5::BOOLEAN[], $6::UUID[], $7::BIGINT[], $8::BIGINT[],
                $9::BIGINT[], $10::BIGINT[], $11::BIGINT[], $12::BIGINT[], $13::BOOLEAN[], $14::BOOLEAN[], $15::BOOLEAN[], $16::BOOLEAN[], $17::BIGINT[], $18::BYTEA[])
                WITH ORDINALITY AS w(thread_id, kind, run_id, attempt, keep, mark, count, millis, sequence, before_millis, before_sequence, now, again, copy, unsure, read, generation, bytes, n)
             CROSS JOIN LATERAL event_log_append(w.thread_id, w.kind, w.run_id, w.attempt, w.keep, w.mark, w.count, w.millis, w.sequence, w.before_millis, w.before_sequence, w.now,
                w.again, w.copy, w.unsure, w.read, w.generation, w.bytes) AS a ORDER BY w.n",
        );
        let sql = sql.bind(writes().map(|write| write.thread_id.0).collect::<Vec<Uuid>>());
        let sql = sql.bind(writes().map(|write| char::from(write.kind.code()).to_string()).collect::<Vec<_>>());
        let sql = sql.bind(writes().map(|write| write.kind.run_id().map(|id| id.0)).collect::<Vec<_>>());
        let sql = sql.bind(column(|write| i64::from(write.attempt)));
        let sql = sql.bind(writes().map(|write| write.keep).collect::<Vec<_>>());
        let sql = sql.bind(writes().map(|write| write.mark).collect::<Vec<_>>());
        let sql = sql.bind(column(|write| i64::from(write.count)));
        let sql = sql.bind(column(|write| signed(write.first.millis)));
        let sql = sql.bind(column(|write| signed(write.first.sequence)));
        let sql = sql.bind(column(|write| signed(write.copy_after.unwrap_or_default().millis)));
        let sql = sql.bind(column(|write| signed(write.copy_after.unwrap_or_default().sequence)));
        let sql = sql.bind(column(|write| write.now.as_micros()));
        let sql = sql.bind(writes().map(|write| write.again).collect::<Vec<_>>());
        let sql = sql.bind(writes().map(|write| write.copy_after.is_some()).collect::<Vec<_>>());
        let sql = sql.bind(writes().map(|write| write.unsure).collect::<Vec<_>>());
        let sql = sql.bind(appending.iter().map(|each| each.read).collect::<Vec<_>>());
        let sql = sql.bind(appending.iter().map(|each| each.generation.map(signed)).collect::<Vec<_>>());
        let sql = sql.bind(writes().map(|write| &write.bytes[..]).collect::<Vec<_>>());
        let mut session = self.session(OPERATION).await?;
        let rows = sql.fetch_all(&mut *session).await.context(OPERATION)?;
        session.done(OPERATION).await?;
        Ok(rows)
    }
}
