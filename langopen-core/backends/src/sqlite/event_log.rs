//! What runs said, in the file and to who reads just then.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use langopen_core::error::{Error, Result};
use langopen_core::event_log::{EventId, EventLog, EventStream, LogKey, NewEvent, ReadFrom, late, run_done};
use langopen_core::ids::{RunId, ThreadId};
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;

use super::Sqlite;
use super::event_reader::Reading;
use super::event_rows::Ending;
use crate::live_log::{Hub, RETENTION, Refused, Writing, place};

/// [`EventLog`] in an SQLite file. Clones share everything.
///
/// What a resumable run says is committed before any reader sees it; what other runs say goes to who reads just then,
/// and never touches the file.
#[derive(Clone)]
pub struct SqliteEventLog {
    db: Sqlite,
    hub: Arc<Hub>,
    /// The threads whose kept events are being written: each by one call at a time, so that its order is that of its
    /// ids.
    turns: Arc<Mutex<HashMap<ThreadId, Arc<AsyncMutex<Turn>>>>>,
    retention: Duration,
}

/// The right to write a thread's events, and what is known of them in the file.
#[derive(Debug, Default)]
struct Turn {
    /// Whether the hub goes on after the last id in the file.
    loaded: bool,
    /// The runs whose logs were looked up and are open.
    open: HashSet<RunId>,
}

impl SqliteEventLog {
    pub(super) fn new(db: Sqlite) -> Self {
        Self { db, hub: Arc::new(Hub::new(false)), turns: Arc::default(), retention: RETENTION }
    }

    /// Keeps an ended log this long.
    #[must_use]
    pub fn with_retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    fn turn(&self, thread_id: ThreadId) -> Arc<AsyncMutex<Turn>> {
        self.turns.lock().entry(thread_id).or_default().clone()
    }

    /// The last id in the file, if the hub may not know it.
    async fn least(&self, thread_id: ThreadId, turn: &mut Turn) -> Result<EventId> {
        if turn.loaded {
            return Ok(EventId::ZERO);
        }
        self.db.last_event(thread_id).await
    }

    /// Begins a write. The hub's last id never falls, so the file is asked once.
    async fn begin_write(&self, thread_id: ThreadId, turn: &mut Turn) -> Result<Writing> {
        let least = self.least(thread_id, turn).await?;
        turn.loaded = true;
        Ok(self.hub.begin_write(thread_id, least))
    }

    /// Appends what nobody keeps when it is its turn.
    async fn deliver(&self, log: LogKey, attempt: u32, events: Vec<NewEvent>) -> Result<()> {
        let turn = self.turn(log.thread_id);
        let _turn = turn.lock().await;
        match self.hub.append(log, attempt, false, events, self.db.now()) {
            Err(Refused::Late) => Err(late(log.run_id, attempt)),
            // Nobody else writes now.
            Ok(()) | Err(Refused::NotItsTurn(_)) => Ok(()),
        }
    }

    async fn keep(&self, log: LogKey, attempt: u32, events: Vec<NewEvent>) -> Result<()> {
        let turn = self.turn(log.thread_id);
        let mut turn = turn.lock().await;
        if !turn.open.contains(&log.run_id) {
            if self.db.log_row(log.run_id).await?.is_some_and(|row| row.ended) {
                return Ok(());
            }
            turn.open.insert(log.run_id);
        }
        if !self.hub.admits(log, attempt) {
            return Err(late(log.run_id, attempt));
        }
        let writing = self.begin_write(log.thread_id, &mut turn).await?;
        let events = place(writing.last, Some(log.run_id), events, self.db.now()).collect();
        writing.publish(log.run_id, self.db.keep_events(log, events).await?);
        Ok(())
    }

    async fn keep_of_thread(&self, thread_id: ThreadId, events: Vec<NewEvent>) -> Result<()> {
        let turn = self.turn(thread_id);
        let mut turn = turn.lock().await;
        let writing = self.begin_write(thread_id, &mut turn).await?;
        let events = place(writing.last, None, events, self.db.now()).collect();
        writing.tell(self.db.keep_thread_events(thread_id, events).await?);
        Ok(())
    }

    async fn close(&self, log: LogKey) -> Result<()> {
        let turn = self.turn(log.thread_id);
        let mut turn = turn.lock().await;
        turn.open.remove(&log.run_id);
        let begun = self.begin_write(log.thread_id, &mut turn).await;
        // Readers must not wait for an end that could not be noted.
        self.hub.end_readers(log);
        let writing = begun?;
        let done: Vec<_> = place(writing.last, None, vec![run_done(log.run_id)], self.db.now()).collect();
        let ending = match done.first() {
            Some(done) => self.db.end_log(log, done.clone()).await,
            None => Ok(Ending::Before),
        };
        if !matches!(ending, Ok(Ending::Before)) {
            writing.tell(done);
        }
        ending.map(drop)
    }

    async fn remove(&self, thread_id: ThreadId) -> Result<()> {
        let turn = self.turn(thread_id);
        let mut turn = turn.lock().await;
        turn.open.clear();
        self.hub.remove_threads(&[thread_id]);
        self.db.remove_events(thread_id).await
    }
}

/// Runs to its end even if the caller goes away, so that what is in the file and what readers saw stay the same.
async fn whole<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let failed = |error| Error::internal("event_log.write", "the write broke off").with_source(error);
    tokio::spawn(work).await.unwrap_or_else(|error| Err(failed(error)))
}

#[async_trait]
impl EventLog for SqliteEventLog {
    async fn append(&self, log: LogKey, attempt: u32, resumable: bool, events: Vec<NewEvent>) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let this = self.clone();
        if resumable {
            return whole(async move { this.keep(log, attempt, events).await }).await;
        }
        match self.hub.append(log, attempt, false, events, self.db.now()) {
            Ok(()) => Ok(()),
            Err(Refused::Late) => Err(late(log.run_id, attempt)),
            Err(Refused::NotItsTurn(events)) => whole(async move { this.deliver(log, attempt, events).await }).await,
        }
    }

    async fn append_to_thread(&self, thread_id: ThreadId, events: Vec<NewEvent>) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let this = self.clone();
        whole(async move { this.keep_of_thread(thread_id, events).await }).await
    }

    async fn end(&self, log: LogKey) -> Result<()> {
        if self.hub.resumable(log) == Some(false) && self.hub.end(log, self.db.now()) {
            return Ok(());
        }
        let this = self.clone();
        whole(async move { this.close(log).await }).await
    }

    async fn read(&self, log: LogKey, from: ReadFrom) -> Result<EventStream> {
        // First the place among the live readers, then what is kept: what comes between the two comes twice, and is
        // told apart by its id.
        let (_, live) = self.hub.subscribe(log, ReadFrom::Now);
        if self.hub.resumable(log) == Some(false) {
            return Ok(live.boxed());
        }
        let row = self.db.log_row(log.run_id).await?;
        let live = row.is_none_or(|row| !row.ended).then_some(live);
        Ok(match from {
            ReadFrom::Now => live.map_or_else(|| futures::stream::empty().boxed(), StreamExt::boxed),
            ReadFrom::After(seen) => {
                // The log of the thread before the run's first event is of no interest.
                let seen = row.map_or(seen, |row| seen.max(row.before));
                Reading::replay(&self.db, log.thread_id, Some(log.run_id), seen, EventId::MAX, live)
            }
        })
    }

    async fn begin(&self, log: LogKey) -> Result<EventStream> {
        Ok(self.hub.subscribe(log, ReadFrom::Now).1.boxed())
    }

    async fn read_thread(&self, thread_id: ThreadId, from: ReadFrom) -> Result<EventStream> {
        let turn = self.turn(thread_id);
        // While it is our turn nothing is on its way into the file: what is there comes up to the hub's last id, and
        // everything else after it.
        let mut turn = turn.lock().await;
        let least = self.least(thread_id, &mut turn).await?;
        let (_, last, live) = self.hub.subscribe_thread(thread_id, ReadFrom::Now, least);
        turn.loaded = true;
        Ok(match from {
            ReadFrom::Now => live.boxed(),
            ReadFrom::After(seen) => Reading::replay(&self.db, thread_id, None, seen, last, Some(live)),
        })
    }

    async fn remove_threads(&self, threads: &[ThreadId]) -> Result<()> {
        for thread_id in threads.iter().copied() {
            let this = self.clone();
            whole(async move { this.remove(thread_id).await }).await?;
        }
        Ok(())
    }

    async fn sweep(&self) -> Result<u64> {
        self.hub.sweep(self.db.now(), self.retention);
        // What nobody is writing just now can be looked up again.
        self.turns.lock().retain(|_, turn| Arc::strong_count(turn) > 1);
        let mut orphaned = self.db.orphaned_logs(self.retention).await?;
        orphaned.retain(|log| self.hub.resumable(*log).is_none());
        self.db.sweep_logs(orphaned.into_iter().map(|log| log.run_id), self.retention).await
    }
}

impl fmt::Debug for SqliteEventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteEventLog").field("retention", &self.retention).finish_non_exhaustive()
    }
}
