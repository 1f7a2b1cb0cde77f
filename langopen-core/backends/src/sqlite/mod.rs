//! Backends in one SQLite file, for one process.
//!
//! One task writes: it commits all waiting writes in one transaction. A few connections read. One process owns the
//! file.

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

/// How a file is opened.
#[derive(Clone)]
#[non_exhaustive]
pub struct SqliteOptions {
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// How many connections read.
    pub readers: u32,
    /// Whether another process may own the file.
    pub beside: bool,
}

impl SqliteOptions {
    /// Opens the file beside the process that owns it, if any: no run is handed back. For a look, and for rows that the
    /// owner reads anew each time, as deployments and API keys; nothing tells the owner of runs that become ready.
    #[must_use]
    pub fn beside_owner(mut self) -> Self {
        self.beside = true;
        self
    }

    /// Reads time from `clock`.
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

/// [`Storage`](langopen_core::Storage), [`Queue`](langopen_core::Queue) and [`Outbox`](langopen_core::Outbox) in one SQLite file. Clones share
/// everything.
///
/// Opening is for one process at a time, but for [`SqliteOptions::beside_owner`]; the caller sees to that, e.g. with a
/// lock file. Runs that another process left running are pending again when `open` returns.
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
    /// Opens the file, creates it if it is missing, brings its schema up to date, and hands back the runs of a process
    /// that is gone.
    ///
    /// # Errors
    /// `Unavailable` for a file that cannot be opened or written, `Invalid` for one that is not ours or comes from a
    /// newer version; the message says what to do.
    pub async fn open(path: &Path, options: SqliteOptions) -> Result<Self> {
        let writer = connection::open_writer(path, options.beside).await?;
        let readers = connection::open_readers(path, options.readers).await?;
        let (cancels, _) = broadcast::channel(CANCELS_KEPT);
        let writer = Writer::start(writer, connection::writer_options(path));
        let (wakes, cron_wakes, delivery_wakes) = (Arc::default(), Arc::default(), Arc::default());
        let clock = options.clock;
        Ok(Self { shared: Arc::new(Shared { clock, readers, writer, wakes, cron_wakes, cancels, delivery_wakes }) })
    }

    /// The event log in the same file. Make one and clone it: two of them know nothing of each other's live readers.
    pub fn event_log(&self) -> SqliteEventLog {
        SqliteEventLog::new(self.clone())
    }

    /// Waits for the writes that were asked for, and closes the file. Later calls fail with `Unavailable`.
    pub async fn close(&self) {
        self.shared.writer.stop().await;
        self.shared.readers.close().await;
    }

    /// Tells the workers of runs that were deleted.
    fn stop_deleted(&self, runs: &[RunId]) {
        for run_id in runs {
            // Without a receiver there is no worker to tell; its heartbeat will learn it.
            let _ = self.shared.cancels.send(run::deleted(*run_id));
        }
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// The moment for leases. One process owns the file, and hands back all runs when it opens it, so no other process
    /// compares with it.
    fn steady(&self) -> Timestamp {
        self.shared.clock.steady()
    }

    fn readers(&self) -> &SqlitePool {
        &self.shared.readers
    }

    /// Runs a job on the writing connection, and returns when its effect is committed.
    ///
    /// The job shares its transaction with others: it must read and decide before it writes, so that an error of its
    /// own leaves nothing half done.
    async fn write<T, J>(&self, operation: &'static str, job: J) -> Result<T>
    where
        T: Send + 'static,
        J: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        self.shared.writer.write(operation, false, job).await
    }

    /// As [`Sqlite::write`], for a job that writes with one statement or [`writer::together`]: alone, it needs no
    /// transaction around it.
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
