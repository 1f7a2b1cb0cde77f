//! The statistics of the queue.

use std::time::Duration;

use langopen_core::clock::Timestamp;
use langopen_core::error::Result;
use langopen_core::queue::QueueStats;
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteRow;

use crate::sqlite::columns::{Context, get};

/// Reads only the partial indexes of pending and running runs. A thread's runs start in order, so only its first
/// pending run can be startable.
const STATS: &str = "WITH due AS MATERIALIZED (
        SELECT thread_id, available_at, row_number() OVER (ORDER BY available_at) AS place, count(*) OVER () AS total,
            row_number() OVER (PARTITION BY thread_id ORDER BY available_at, run_id) AS turn
        FROM runs WHERE status = 'pending' AND available_at <= ?)
     SELECT (SELECT count(*) FROM runs WHERE status = 'pending') AS pending,
        (SELECT count(*) FROM runs WHERE status = 'running') AS running,
        min(available_at) AS oldest,
        CAST(avg(available_at) FILTER (WHERE place IN ((total + 1) / 2, (total + 2) / 2)) AS INTEGER) AS middle,
        min(available_at) FILTER (WHERE turn = 1 AND NOT EXISTS
            (SELECT 1 FROM runs r WHERE r.thread_id = due.thread_id AND r.status = 'running')) AS unblocked
     FROM due";

pub(super) async fn stats(db: &SqlitePool, now: Timestamp) -> Result<QueueStats> {
    let row = sqlx::query(STATS).bind(now.as_micros()).fetch_one(db).await.context("queue.stats")?;
    let count = |column| get::<i64>(&row, column).map(i64::unsigned_abs);
    Ok(QueueStats {
        pending: count("pending")?,
        running: count("running")?,
        wait_max: wait(&row, "oldest", now)?,
        wait_median: wait(&row, "middle", now)?,
        unblocked_wait_max: wait(&row, "unblocked", now)?,
    })
}

fn wait(row: &SqliteRow, column: &str, now: Timestamp) -> Result<Option<Duration>> {
    let since: Option<i64> = get(row, column)?;
    Ok(since.map(|since| now.since(Timestamp::from_micros(since))))
}
