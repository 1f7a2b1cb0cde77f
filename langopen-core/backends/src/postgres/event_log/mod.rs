//! The event log in the database.

mod group;
mod readers;
mod rows;
mod store;
mod writer;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use langopen_core::clock::Clock;
use langopen_core::error::Result;
use langopen_core::event_log::{EventLog, EventStream, LogKey, NewEvent, ReadFrom};
use langopen_core::ids::ThreadId;
use langopen_core::signals::Signals;

use super::Postgres;
use crate::live_copies::LiveCopies;
use crate::live_log::RETENTION;
use crate::shared_log::{LogStore, SharedLog};

use store::PostgresStore;

/// How a log in a Postgres database is opened.
#[derive(Clone)]
#[non_exhaustive]
pub struct PostgresLogOptions {
    /// How long an ended log is kept.
    pub retention: Duration,
    /// The carrier of live copies; without one, processes fetch each other's events when a signal comes.
    pub live_copies: Option<Arc<dyn LiveCopies>>,
    /// The signals that announce events when no live copy does; `None` for those of the database. They should not
    /// depend on the carrier of live copies.
    pub signals: Option<Arc<dyn Signals>>,
}

impl Default for PostgresLogOptions {
    fn default() -> Self {
        Self { retention: RETENTION, live_copies: None, signals: None }
    }
}

impl PostgresLogOptions {
    /// Keeps an ended log this long.
    #[must_use]
    pub fn with_retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// Sends live copies of events to other processes.
    #[must_use]
    pub fn with_live_copies(mut self, live: Arc<dyn LiveCopies>) -> Self {
        self.live_copies = Some(live);
        self
    }

    /// Announces events through these signals.
    #[must_use]
    pub fn with_signals(mut self, signals: Arc<dyn Signals>) -> Self {
        self.signals = Some(signals);
        self
    }
}

impl fmt::Debug for PostgresLogOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("PostgresLogOptions");
        shown.field("retention", &self.retention).field("live_copies", &self.live_copies.is_some());
        shown.finish_non_exhaustive()
    }
}

/// [`EventLog`] in a Postgres database, shared by all processes on it. Clones share everything.
///
/// The database gives every record its position and commits it before any reader sees it. Records of a run that is not
/// resumable are written only if a process reads the thread, and are dropped minutes later; a crash of the database may
/// lose the last of them, and then their readers get an error.
///
/// Processes announce events to each other by live copies or signals. Those are hints: a process that misses one sees
/// the gap, or finds the record when it looks, which it does every second.
#[derive(Clone)]
pub struct PostgresEventLog {
    log: Arc<SharedLog<PostgresStore>>,
    clock: Arc<dyn Clock>,
    retention: Duration,
}

impl PostgresEventLog {
    /// The log in `db`, with the default options.
    ///
    /// # Errors
    /// `Unavailable` if the database does not answer.
    pub async fn open(db: &Postgres) -> Result<Self> {
        Self::open_with(db, PostgresLogOptions::default()).await
    }

    /// The log in `db`.
    ///
    /// # Errors
    /// `Unavailable` if the database does not answer.
    pub async fn open_with(db: &Postgres, options: PostgresLogOptions) -> Result<Self> {
        let PostgresLogOptions { retention, live_copies, signals } = options;
        let signals = signals.or_else(|| db.shared.signals.clone());
        let store = Arc::new(PostgresStore::open(db, retention, live_copies, signals).await?);
        let clock = Arc::clone(&db.shared.clock);
        Ok(Self { log: Arc::new(SharedLog::new(store, Arc::clone(&clock))), clock, retention })
    }
}

impl fmt::Debug for PostgresEventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresEventLog").field("retention", &self.retention).finish_non_exhaustive()
    }
}

#[async_trait]
impl EventLog for PostgresEventLog {
    async fn append(&self, log: LogKey, attempt: u32, resumable: bool, events: Vec<NewEvent>) -> Result<()> {
        self.log.append(log, attempt, resumable, events).await
    }

    async fn append_to_thread(&self, thread_id: ThreadId, events: Vec<NewEvent>) -> Result<()> {
        self.log.append_to_thread(thread_id, events).await
    }

    async fn end(&self, log: LogKey) -> Result<()> {
        self.log.end(log).await
    }

    async fn read(&self, log: LogKey, from: ReadFrom) -> Result<EventStream> {
        self.log.read(log, from).await
    }

    async fn begin(&self, log: LogKey) -> Result<EventStream> {
        self.log.begin(log).await
    }

    async fn read_thread(&self, thread_id: ThreadId, from: ReadFrom) -> Result<EventStream> {
        self.log.read_thread(thread_id, from).await
    }

    async fn remove_threads(&self, threads: &[ThreadId]) -> Result<()> {
        self.log.remove_threads(threads).await
    }

    async fn sweep(&self) -> Result<u64> {
        self.log.store().sweep(self.clock.now(), self.retention).await
    }
}
