//! The store of an event log in the database.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use langopen_core::clock::Timestamp;
use langopen_core::error::Result;
use langopen_core::event_log::EventId;
use langopen_core::ids::{IdSource, RunId, SystemIds, ThreadId};
use langopen_core::signals::{Signal, Signals};
use parking_lot::Mutex;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::super::Postgres;
use super::super::columns::{Context, get};
use super::group::Group;
use super::readers::{Readers, Reading};
use super::rows::{PAGE, page, position, signed};
use super::writer::{Appending, Writer};
use crate::live_copies::{Delivery, LiveCopies};
use crate::shared_log::{Answer, LogStore, News, Opened, Page, Proposal, decode_copy, millis};

const READ: &str = "event_log.read";

/// The length of a partition, and how long live records stay, in milliseconds.
const KEPT_SPAN: u64 = 3_600_000;
const LIVE_SPAN: u64 = 300_000;
const LIVE_MILLIS: u64 = 300_000;

/// How long the last position of a thread without kept records is remembered, in milliseconds.
const REMEMBERED: u64 = 3_600_000;

/// How many rows of each kind a sweep removes.
const SWEPT: i64 = 5000;

/// How many tasks write. Each commits for its share of the threads.
const WRITERS: usize = 2;

/// How long an append is tried while the database does not answer.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);

/// A log in the database.
pub(crate) struct PostgresStore {
    db: Postgres,
    retention: Duration,
    writers: Vec<Group<Appending, Answer>>,
    reading: Group<Reading, Opened>,
    readers: Arc<Readers>,
    live: Option<Arc<dyn LiveCopies>>,
    news: Mutex<Option<UnboundedReceiver<News>>>,
    tasks: Vec<AbortHandle>,
}

impl PostgresStore {
    /// The log in `db`. Processes send each other copies through `live`, and hints through `signals` if copies do not
    /// get through.
    pub(crate) async fn open(
        db: &Postgres,
        retention: Duration,
        live: Option<Arc<dyn LiveCopies>>,
        signals: Option<Arc<dyn Signals>>,
    ) -> Result<Self> {
        db.make_partitions(db.now(), retention).await?;
        let (tell, news) = mpsc::unbounded_channel();
        let process = SystemIds.random();
        let readers = Readers::new(db.clone(), process).await?;
        let (reading, changes) = Group::new();
        let mut tasks = vec![
            tokio::spawn(Arc::clone(&readers).follow(changes)).abort_handle(),
            tokio::spawn(Arc::clone(&readers).keep_announced(tell.clone())).abort_handle(),
        ];
        if let Some(live) = &live {
            tasks.push(tokio::spawn(receive(live.deliveries(), tell.clone())).abort_handle());
        }
        if let Some(signals) = &signals {
            tasks.push(tokio::spawn(hear(Arc::clone(signals), tell)).abort_handle());
        }
        let mut writers = Vec::with_capacity(WRITERS);
        for _ in 0..WRITERS {
            let (group, calls) = Group::new();
            let writer = Writer { db: db.clone(), process, live: live.clone(), signals: signals.clone() };
            tasks.push(tokio::spawn(writer.run(calls)).abort_handle());
            writers.push(group);
        }
        let news = Mutex::new(Some(news));
        Ok(Self { db: db.clone(), retention, writers, reading, readers, live, news, tasks })
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// Passes on the copies of other processes.
async fn receive(mut deliveries: UnboundedReceiver<Delivery>, tell: UnboundedSender<News>) {
    while let Some(delivery) = deliveries.recv().await {
        let news = match delivery {
            Delivery::Copy(thread_id, copy) => {
                decode_copy(copy).map_or(News::Look(thread_id), |record| News::Record(thread_id, record))
            }
            Delivery::Watching(thread_id) => News::Look(thread_id),
            Delivery::Missed => News::LookEverywhere,
        };
        if tell.send(news).is_err() {
            return;
        }
    }
}

/// Passes on the signals of other processes.
async fn hear(signals: Arc<dyn Signals>, tell: UnboundedSender<News>) {
    let mut received = signals.subscribe();
    loop {
        let news = match received.recv().await {
            Ok(Signal::Events(thread_id)) => News::Look(thread_id),
            Ok(Signal::Missed) | Err(RecvError::Lagged(_)) => News::LookEverywhere,
            Ok(_) => continue,
            Err(RecvError::Closed) => return,
        };
        if tell.send(news).is_err() {
            return;
        }
    }
}

fn before(now: Timestamp, time: u64) -> i64 {
    signed(millis(now).saturating_sub(time))
}

fn in_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Postgres {
    /// Creates the partitions that are needed next, and drops the old ones.
    async fn make_partitions(&self, now: Timestamp, retention: Duration) -> Result<()> {
        const OPERATION: &str = "event_log.sweep";
        let mut transaction = self.begin(OPERATION).await?;
        // A kept log needs its records since it began.
        let oldest = "SELECT min(first_millis) AS millis FROM event_logs";
        let oldest = sqlx::query(oldest).fetch_one(&mut *transaction).await.context(OPERATION)?;
        let oldest = get::<Option<i64>>(&oldest, "millis")?.unwrap_or(i64::MAX);
        let kept_until = before(now, in_millis(retention)).min(oldest);
        for (table, span, until) in
            [("kept_records", KEPT_SPAN, kept_until), ("live_records", LIVE_SPAN, before(now, LIVE_MILLIS))]
        {
            let sql = sqlx::query("SELECT event_log_partitions($1, $2, $3, $4)");
            let sql = sql.bind(table).bind(before(now, 0)).bind(signed(span)).bind(until);
            sql.execute(&mut *transaction).await.context(OPERATION)?;
        }
        transaction.commit().await.context(OPERATION)
    }

    async fn sweep_logs(&self, now: Timestamp, retention: Duration) -> Result<u64> {
        const OPERATION: &str = "event_log.sweep";
        let mut transaction = self.begin(OPERATION).await?;
        let micros = i64::try_from(retention.as_micros()).unwrap_or(i64::MAX);
        let over = sqlx::query(
            "DELETE FROM event_logs WHERE run_id IN (SELECT run_id FROM event_logs WHERE ended_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
        );
        let over = over.bind(now.as_micros().saturating_sub(micros)).bind(SWEPT);
        let swept = over.execute(&mut *transaction).await.context(OPERATION)?.rows_affected();
        // A process that died may have left the log of a finished run open. The log's retention begins now.
        let orphans = sqlx::query(
            "UPDATE event_logs SET ended_at = $1 WHERE run_id IN (
                SELECT l.run_id FROM event_logs l JOIN log_threads t USING (thread_id)
                WHERE l.ended_at IS NULL AND t.millis <= $2 AND NOT EXISTS
                    (SELECT 1 FROM runs r WHERE r.run_id = l.run_id AND r.status IN ('pending', 'running'))
                LIMIT $3 FOR UPDATE OF l SKIP LOCKED)",
        );
        let orphans = orphans.bind(now.as_micros()).bind(before(now, in_millis(retention))).bind(SWEPT);
        orphans.execute(&mut *transaction).await.context(OPERATION)?;
        let idle = sqlx::query(
            "DELETE FROM log_threads WHERE thread_id IN (
                SELECT t.thread_id FROM log_threads t WHERE t.millis < $1
                    AND NOT EXISTS (SELECT 1 FROM event_logs l WHERE l.thread_id = t.thread_id)
                ORDER BY t.millis LIMIT $2 FOR UPDATE SKIP LOCKED)",
        );
        let idle = idle.bind(before(now, REMEMBERED.max(in_millis(retention)))).bind(SWEPT);
        idle.execute(&mut *transaction).await.context(OPERATION)?;
        // One statement, which holds the lock of the process's row: a process that comes back at this moment announces
        // its readers after it, and not before.
        let gone = sqlx::query(
            "WITH gone AS (DELETE FROM event_processes WHERE until < clock_timestamp() - INTERVAL '10 minutes' RETURNING process_id)
             DELETE FROM event_readers r USING gone WHERE r.process_id = gone.process_id",
        );
        gone.execute(&mut *transaction).await.context(OPERATION)?;
        transaction.commit().await.context(OPERATION)?;
        Ok(swept)
    }
}

#[async_trait]
impl LogStore for PostgresStore {
    async fn append(&self, proposal: &Proposal) -> Result<Answer> {
        let thread_id = proposal.thread_id;
        let writer = &self.writers[thread_id.0.as_u128() as usize % WRITERS];
        let deadline = Instant::now() + PATIENCE;
        loop {
            let appending = Appending { proposal: proposal.clone(), read: self.readers.is_watched(thread_id) };
            match writer.call("event_log.append", appending).await {
                // It may have been committed. Then the database refuses the same proposal, and says so.
                Err(error) if error.is_retryable() && Instant::now() + PAUSE < deadline => {
                    tokio::time::sleep(PAUSE).await;
                }
                answer => return answer,
            }
        }
    }

    async fn open(&self, thread_id: ThreadId, run_id: Option<RunId>) -> Result<Opened> {
        self.readers.watch(thread_id);
        if let Some(live) = &self.live {
            live.watch(thread_id);
        }
        self.reading.call(READ, Reading::Open(thread_id, run_id)).await
    }

    fn left(&self, thread_id: ThreadId) {
        self.readers.leave(thread_id);
        if let Some(live) = &self.live {
            live.unwatch(thread_id);
        }
        self.reading.tell(Reading::Left(thread_id));
    }

    async fn kept(&self, thread_id: ThreadId, run_id: Option<RunId>, after: EventId, opened: &Opened) -> Result<Page> {
        let of_run = "SELECT k.millis, k.sequence, k.before_millis, k.before_sequence, k.bytes
             FROM event_logs l JOIN kept_records k ON k.thread_id = l.thread_id AND k.run_id = l.run_id AND k.millis >= l.first_millis
             WHERE l.run_id = $6 AND k.thread_id = $1 AND k.kind = 'r' AND k.millis >= $2 AND (k.millis, k.sequence) > ($2, $3)
                AND (k.millis, k.sequence) <= ($4, $5) ORDER BY k.millis, k.sequence LIMIT $7";
        let of_thread = "SELECT k.millis, k.sequence, k.before_millis, k.before_sequence, k.bytes FROM kept_records k
             WHERE k.thread_id = $1 AND k.millis >= $2 AND (k.millis, k.sequence) > ($2, $3) AND (k.millis, k.sequence) <= ($4, $5)
                AND CASE k.kind WHEN 'r' THEN EXISTS (SELECT 1 FROM event_logs l WHERE l.run_id = k.run_id) ELSE k.millis > $6 END
             ORDER BY k.millis, k.sequence LIMIT $7";
        let sql = sqlx::query(if run_id.is_some() { of_run } else { of_thread }).bind(thread_id.0);
        let sql = sql.bind(signed(after.millis)).bind(signed(after.sequence));
        let sql = sql.bind(signed(opened.last.millis)).bind(signed(opened.last.sequence));
        let sql = match run_id {
            Some(run_id) => sql.bind(run_id.0),
            None => sql.bind(before(self.db.now(), in_millis(self.retention))),
        };
        let mut session = self.db.session(READ).await?;
        page(&sql.bind(signed(PAGE as u64)).fetch_all(&mut *session).await.context(READ)?)
    }

    async fn since(&self, thread_id: ThreadId, after: EventId) -> Result<Page> {
        let sql = sqlx::query(
            "(SELECT millis, sequence, before_millis, before_sequence, bytes FROM kept_records
                WHERE thread_id = $1 AND millis >= $2 AND (millis, sequence) > ($2, $3) ORDER BY millis, sequence LIMIT $4)
             UNION ALL
             (SELECT millis, sequence, before_millis, before_sequence, bytes FROM live_records
                WHERE thread_id = $1 AND millis >= $2 AND (millis, sequence) > ($2, $3) ORDER BY millis, sequence LIMIT $4)
             ORDER BY millis, sequence LIMIT $4",
        );
        let sql =
            sql.bind(thread_id.0).bind(signed(after.millis)).bind(signed(after.sequence)).bind(signed(PAGE as u64));
        let mut session = self.db.session(READ).await?;
        page(&sql.fetch_all(&mut *session).await.context(READ)?)
    }

    async fn moved(&self, threads: &[(ThreadId, EventId)]) -> Result<Vec<(ThreadId, EventId)>> {
        let sql = sqlx::query(
            "SELECT thread_id, t.millis, t.sequence FROM unnest($1::UUID[], $2::BIGINT[], $3::BIGINT[]) AS w (thread_id, millis, sequence)
             JOIN log_threads t USING (thread_id) WHERE (t.millis, t.sequence) <> (w.millis, w.sequence)",
        );
        let sql = sql.bind(threads.iter().map(|(thread_id, _)| thread_id.0).collect::<Vec<_>>());
        let sql = sql.bind(threads.iter().map(|(_, seen)| signed(seen.millis)).collect::<Vec<_>>());
        let sql = sql.bind(threads.iter().map(|(_, seen)| signed(seen.sequence)).collect::<Vec<_>>());
        let mut session = self.db.session(READ).await?;
        let rows = sql.fetch_all(&mut *session).await.context(READ);
        // A server that restarts may have lost the announcement.
        let rows = rows.inspect_err(|_| self.readers.renew())?;
        rows.iter().map(|row| Ok((ThreadId(get(row, "thread_id")?), position(row, "millis", "sequence")?))).collect()
    }

    async fn sweep(&self, now: Timestamp, retention: Duration) -> Result<u64> {
        let swept = self.db.retrying(|| self.db.sweep_logs(now, retention)).await?;
        self.db.make_partitions(now, retention).await?;
        Ok(swept)
    }

    fn news(&self) -> UnboundedReceiver<News> {
        self.news.lock().take().unwrap_or_else(|| mpsc::unbounded_channel().1)
    }
}
