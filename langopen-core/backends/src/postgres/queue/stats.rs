//! The statistics of the queue.

use std::time::Duration;

use langopen_core::clock::Timestamp;
use langopen_core::error::Result;
use langopen_core::queue::QueueStats;
use sqlx::postgres::PgRow;

use crate::postgres::Postgres;
use crate::postgres::columns::{self, Context, get};

/// Reads only the partial indexes of pending and running runs. A thread's runs start in order, so only its first
/// pending run can be startable.
const STATS: &str = "WITH due AS MATERIALIZED (
        SELECT thread_id, available_at, row_number() OVER (ORDER BY available_at) AS place, count(*) OVER () AS total,
            row_number() OVER (PARTITION BY thread_id ORDER BY available_at, run_id) AS turn
        FROM runs WHERE status = 'pending' AND available_at <= $1)
     SELECT (SELECT count(*) FROM runs WHERE status = 'pending') AS pending,
        (SELECT count(*) FROM runs WHERE status = 'running') AS running,
        min(available_at) AS oldest,
        floor(avg(available_at) FILTER (WHERE place IN ((total + 1) / 2, (total + 2) / 2)))::BIGINT AS middle,
        min(available_at) FILTER (WHERE turn = 1 AND NOT EXISTS
            (SELECT 1 FROM runs r WHERE r.thread_id = due.thread_id AND r.status = 'running')) AS unblocked
     FROM due";

impl Postgres {
    pub(super) async fn queue_stats(&self) -> Result<QueueStats> {
        const OPERATION: &str = "queue.stats";
        let now = self.now();
        let row = sqlx::query(STATS).bind(now.as_micros());
        let row = row.fetch_one(&mut *self.session(OPERATION).await?).await.context(OPERATION)?;
        Ok(QueueStats {
            pending: columns::count(&row, "pending")?,
            running: columns::count(&row, "running")?,
            wait_max: wait(&row, "oldest", now)?,
            wait_median: wait(&row, "middle", now)?,
            unblocked_wait_max: wait(&row, "unblocked", now)?,
        })
    }
}

fn wait(row: &PgRow, column: &str, now: Timestamp) -> Result<Option<Duration>> {
    let since: Option<i64> = get(row, column)?;
    Ok(since.map(|since| now.since(Timestamp::from_micros(since))))
}
