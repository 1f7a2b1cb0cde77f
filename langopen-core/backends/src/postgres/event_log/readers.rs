//! Announcing to the database which threads this process reads, and looking up where a reader begins.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use langopen_core::error::Result;
use langopen_core::ids::{RunId, ThreadId};
use parking_lot::Mutex;
use sqlx::postgres::PgRow;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::super::Postgres;
use super::super::columns::{Context, get};
use super::group::{Calls, answer};
use super::rows::position_or_none;
use crate::shared_log::{News, Opened};

const OPERATION: &str = "event_log.read";

/// How long an announcement holds, in seconds, and how often the process renews it.
const HELD: i32 = 60;
const EVERY: Duration = Duration::from_secs(20);

/// A change of the threads that this process reads.
#[derive(Debug)]
pub(super) enum Reading {
    /// A reader of a thread, or of one of its runs, begins.
    Open(ThreadId, Option<RunId>),
    /// The last reader of the thread has gone.
    Left(ThreadId),
}

/// The threads that this process reads.
pub(super) struct Readers {
    db: Postgres,
    process: Uuid,
    watched: Mutex<HashSet<ThreadId>>,
    soon: Notify,
}

impl Readers {
    /// Announces the process to the database.
    pub(super) async fn new(db: Postgres, process: Uuid) -> Result<Arc<Self>> {
        let readers = Self { db, process, watched: Mutex::default(), soon: Notify::new() };
        readers.announce().await?;
        Ok(Arc::new(readers))
    }

    pub(super) fn is_watched(&self, thread_id: ThreadId) -> bool {
        self.watched.lock().contains(&thread_id)
    }

    pub(super) fn watch(&self, thread_id: ThreadId) {
        self.watched.lock().insert(thread_id);
    }

    pub(super) fn leave(&self, thread_id: ThreadId) {
        self.watched.lock().remove(&thread_id);
    }

    /// Renews the announcement soon, because the database may have lost it.
    pub(super) fn renew(&self) {
        self.soon.notify_one();
    }

    /// Renews the announcement, again and again.
    pub(super) async fn keep_announced(self: Arc<Self>, tell: UnboundedSender<News>) {
        let mut announced = Instant::now();
        loop {
            // Either way it is time to renew.
            let _ = timeout(EVERY, self.soon.notified()).await;
            let began = Instant::now();
            if let Err(error) = self.announce().await {
                tracing::debug!(%error, "cannot announce to the database which threads this process reads");
                continue;
            }
            if began.duration_since(announced) > Duration::from_secs(HELD.unsigned_abs().into()) {
                // Without a receiver the log is going away.
                let _ = tell.send(News::Missed);
            }
            announced = began;
        }
    }

    async fn announce(&self) -> Result<()> {
        let threads: Vec<Uuid> = self.watched.lock().iter().map(|thread_id| thread_id.0).collect();
        let mut transaction = self.db.begin(OPERATION).await?;
        let live = sqlx::query(
            "INSERT INTO event_processes (process_id, until) VALUES ($1, clock_timestamp() + make_interval(secs => $2))
             ON CONFLICT (process_id) DO UPDATE SET until = excluded.until",
        );
        live.bind(self.process).bind(f64::from(HELD)).execute(&mut *transaction).await.context(OPERATION)?;
        let read = sqlx::query(
            "INSERT INTO event_readers (thread_id, process_id) SELECT id, $1 FROM unnest($2::UUID[]) AS id ON CONFLICT DO NOTHING",
        );
        read.bind(self.process).bind(threads).execute(&mut *transaction).await.context(OPERATION)?;
        transaction.commit().await.context(OPERATION)
    }

    /// Announces changes, until there will be none.
    pub(super) async fn follow(self: Arc<Self>, mut changes: Calls<Reading, Opened>) {
        while let Some(calls) = changes.next().await {
            let (mut opened, mut askers, mut left) = (Vec::new(), Vec::new(), HashSet::new());
            for (reading, asker) in calls {
                match reading {
                    Reading::Open(thread_id, run_id) => {
                        left.remove(&thread_id);
                        opened.push((thread_id, run_id));
                        askers.push(asker);
                    }
                    Reading::Left(thread_id) => {
                        left.insert(thread_id);
                    }
                }
            }
            if !opened.is_empty() {
                answer(askers, self.open(&opened).await);
            }
            if !left.is_empty()
                && let Err(error) = self.forget(left).await
            {
                tracing::debug!(%error, "cannot tell the database which threads this process no longer reads");
            }
        }
    }

    async fn open(&self, opened: &[(ThreadId, Option<RunId>)]) -> Result<Vec<Opened>> {
        // Every later append finds this reader. Every earlier one has a position up to `millis` and `sequence`, or
        // nobody read the thread then.
        let sql = sqlx::query(
            "WITH w AS (SELECT * FROM unnest($1::UUID[], $2::UUID[]) WITH ORDINALITY AS w(thread_id, run_id, n)),
                  i AS (INSERT INTO event_readers (thread_id, process_id) SELECT DISTINCT thread_id, $3::UUID FROM w ON CONFLICT DO NOTHING)
             SELECT t.millis, t.sequence, l.run_id IS NOT NULL AS kept, l.ended_at IS NOT NULL AS ended FROM w
             LEFT JOIN log_threads t ON t.thread_id = w.thread_id
             LEFT JOIN event_logs l ON l.run_id = w.run_id AND l.thread_id = w.thread_id
             ORDER BY w.n",
        );
        let sql = sql.bind(opened.iter().map(|(thread_id, _)| thread_id.0).collect::<Vec<_>>());
        let sql = sql.bind(opened.iter().map(|(_, run_id)| run_id.map(|run_id| run_id.0)).collect::<Vec<_>>());
        let sql = sql.bind(self.process);
        let mut session = self.db.session(OPERATION).await?;
        let rows = sql.fetch_all(&mut *session).await.context(OPERATION)?;
        session.done(OPERATION).await?;
        let decode = |(row, (_, run_id)): (&PgRow, &(ThreadId, Option<RunId>))| {
            Ok(Opened {
                last: position_or_none(row, "millis", "sequence")?.unwrap_or_default(),
                ended: get(row, "ended")?,
                kept: run_id.is_none() || get(row, "kept")?,
            })
        };
        rows.iter().zip(opened).map(decode).collect()
    }

    async fn forget(&self, left: HashSet<ThreadId>) -> Result<()> {
        let sql = sqlx::query("DELETE FROM event_readers WHERE process_id = $1 AND thread_id = ANY($2)");
        let sql = sql.bind(self.process).bind(left.into_iter().map(|thread_id| thread_id.0).collect::<Vec<_>>());
        let mut session = self.db.session(OPERATION).await?;
        sql.execute(&mut *session).await.context(OPERATION)?;
        session.done(OPERATION).await
    }
}
