//! Backends in one SQLite file, for one process.
//!
//! One task commits all waiting writes in one transaction. A few other connections read. One process owns the file.

mod api_keys;
mod assistants;
mod checkpoint_rows;
mod checkpoints;
mod columns;
mod conditions;
mod connection;
mod crons;
mod deployments;
mod event_log;
mod event_reader;
mod event_rows;
mod health;
mod outbox;
mod queue;
mod readiness;
mod run_search;
mod runs;
mod store_items;
mod thread_prune;
mod thread_rows;
mod thread_search;
mod threads;
mod vectors;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use futures::future::BoxFuture;
use langopen_core::clock::{Clock, SystemClock, Timestamp};
use langopen_core::error::Result;
use langopen_core::ids::RunId;
use langopen_core::queue::CancelSignal;
use sqlx::{SqliteConnection, SqlitePool};
use tokio::sync::{Notify, broadcast};

use crate::rules::run;
use crate::rules::run::CANCELS_KEPT;

pub use event_log::SqliteEventLog;
use writer::Writer;

/// How a backend opens its file.
#[derive(Clone)]
#[non_exhaustive]
pub struct SqliteOptions {
    /// The source of the current time.
    pub clock: Arc<dyn Clock>,
    /// The number of connections that read.
    pub readers: u32,
    /// Whether another process may own the file.
    pub beside: bool,
}

impl SqliteOptions {
    /// Opens the file even if another process owns it, and leaves running runs alone. Use it to read, and to write rows
    /// that the owner always reads from the file, such as deployments and API keys. The owner is not notified of runs
    /// that become ready.
    #[must_use]
    pub fn beside_owner(mut self) -> Self {
        self.beside = true;
        self
    }

    /// Uses this clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), readers: 4, beside: false }
    }
}

/// [`Storage`](langopen_core::Storage), [`Queue`](langopen_core::Queue) and [`Outbox`](langopen_core::Outbox) in one
/// SQLite file. Clones share all data.
///
/// Only one process may open the file at a time, except with [`SqliteOptions::beside_owner`]. The caller must ensure
/// this, e.g. with a lock file. `open` makes runs pending again that another process left running.
#[derive(Clone)]
pub struct Sqlite {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    readers: SqlitePool,
    writer: Writer,
    wakes: Arc<Notify>,
    cron_wakes: Arc<Notify>,
    cancels: broadcast::Sender<CancelSignal>,
    delivery_wakes: Arc<Notify>,
}

impl Sqlite {
    /// Opens the file, creates it if it does not exist, and brings its schema up to date. Makes runs pending again that
    /// a dead process left running.
    ///
    /// # Errors
    /// `Unavailable` if the file cannot be opened or written. `Invalid` if LangOpen did not create the file, or a newer
    /// version did. The message names the remedy.
    pub async fn open(path: &Path, options: SqliteOptions) -> Result<Self> {
        let writer = connection::open_writer(path, options.beside).await?;
        let readers = connection::open_readers(path, options.readers).await?;
        let (cancels, _) = broadcast::channel(CANCELS_KEPT);
        let writer = Writer::start(writer, connection::writer_options(path));
        let (wakes, cron_wakes, delivery_wakes) = (Arc::default(), Arc::default(), Arc::default());
        let clock = options.clock;
        Ok(Self { shared: Arc::new(Shared { clock, readers, writer, wakes, cron_wakes, cancels, delivery_wakes }) })
    }

    /// The event log in the same file. Make one and clone it: two separate logs do not notify each other's live
    /// readers.
    pub fn event_log(&self) -> SqliteEventLog {
        SqliteEventLog::new(self.clone())
    }

    /// Finishes the writes that wait, and closes the file. Later calls fail with `Unavailable`.
    pub async fn close(&self) {
        self.shared.writer.stop().await;
        self.shared.readers.close().await;
    }

    /// Signals the workers of deleted runs to stop.
    fn stop_deleted(&self, runs: &[RunId]) {
        for run_id in runs {
            // An error means that no worker listens; the run's worker learns of the loss from its next heartbeat.
            let _ = self.shared.cancels.send(run::deleted(*run_id));
        }
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// The current time for leases. A process may use its own clock: only one process owns the file, and it makes all
    /// running runs pending again when it opens the file.
    fn steady(&self) -> Timestamp {
        self.shared.clock.steady()
    }

    fn readers(&self) -> &SqlitePool {
        &self.shared.readers
    }

    /// Runs a job on the writing connection. Returns when its transaction is committed.
    ///
    /// The job shares its transaction with other jobs. It must do all checks before its first write, so that its own
    /// errors leave no partial writes.
    async fn write<T, J>(&self, operation: &'static str, job: J) -> Result<T>
    where
        T: Send + 'static,
        J: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        self.shared.writer.write(operation, false, job).await
    }

    /// Like [`Sqlite::write`], for a job that writes with one statement or with [`writer::together`]. If it is the only
    /// job, it runs without a surrounding transaction.
    async fn write_whole<T, J>(&self, operation: &'static str, job: J) -> Result<T>
    where
        T: Send + 'static,
        J: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        self.shared.writer.write(operation, true, job).await
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").finish_non_exhaustive()
    }
}
