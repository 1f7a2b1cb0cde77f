//! In a Postgres that many processes share.
//!
//! Every operation is one statement or one transaction at READ COMMITTED. What depends on which run of a thread is next happens under the lock
//! of the thread's row, which is taken before any of its runs' rows; what is hot is a function in the database, so that it is one round trip. Nothing
//! is kept in a session, so a pooler such as PgBouncer may stand between, in transaction mode too (see [`PostgresOptions::pooler`]).

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
mod outbox;
mod queue;
mod readiness;
mod run_search;
mod runs;
mod session;
mod signals;
mod store_items;
mod store_similarity;
mod thread_prune;
mod thread_rows;
mod thread_search;
mod threads;
mod vectors;

use std::fmt;
use std::sync::Arc;

use langopen_core::clock::{Clock, SystemClock, Timestamp};
use langopen_core::error::Result;
use langopen_core::ids::RunId;
use langopen_core::queue::CancelSignal;
use langopen_core::signals::{Signal, Signals};
use sqlx::PgPool;
use tokio::sync::{Notify, broadcast};
use tokio::task::AbortHandle;

use crate::rules::run;
use crate::rules::run::CANCELS_KEPT;

pub use event_log::{PostgresEventLog, PostgresLogOptions};
pub use signals::PostgresSignals;

/// How a database is opened.
#[derive(Clone)]
#[non_exhaustive]
pub struct PostgresOptions {
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// How many connections this process opens at most.
    pub connections: u32,
    /// Whether a pooler gives each transaction another connection (PgBouncer in transaction mode). Nothing is prepared then and each statement is a transaction, which
    /// costs round trips. `None`: as the URL says with `?pooler=true`, else not.
    pub pooler: Option<bool>,
    /// The way to other processes on the same database; `None` if there are none.
    pub signals: Option<Arc<dyn Signals>>,
}

impl PostgresOptions {
    /// Reads time from `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Opens at most so many connections.
    #[must_use]
    pub fn with_connections(mut self, connections: u32) -> Self {
        self.connections = connections;
        self
    }

    /// Says whether a pooler stands between.
    #[must_use]
    pub fn with_pooler(mut self, pooler: bool) -> Self {
        self.pooler = Some(pooler);
        self
    }

    /// Tells other processes, and hears of them, through `signals`.
    #[must_use]
    pub fn with_signals(mut self, signals: Arc<dyn Signals>) -> Self {
        self.signals = Some(signals);
        self
    }
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), connections: 16, pooler: None, signals: None }
    }
}

/// [`Storage`](langopen_core::Storage), [`Queue`](langopen_core::Queue) and [`Outbox`](langopen_core::Outbox) in a Postgres database. Clones share everything.
///
/// Any number of processes may open the same database. A run of a process that is gone is claimed anew when its lease expires.
#[derive(Clone)]
pub struct Postgres {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    pool: PgPool,
    pooler: bool,
    hints: Hints,
    signals: Option<Arc<dyn Signals>>,
    /// The task that listens to other processes.
    listener: Option<AbortHandle>,
}

/// Who waits for something in this process.
#[derive(Clone)]
struct Hints {
    wakes: Arc<Notify>,
    cron_wakes: Arc<Notify>,
    delivery_wakes: Arc<Notify>,
    cancels: broadcast::Sender<CancelSignal>,
}

impl Hints {
    fn give(&self, signal: Signal) {
        match signal {
            Signal::RunsReady => self.wakes.notify_one(),
            Signal::CronsChanged => self.cron_wakes.notify_one(),
            Signal::DeliveriesReady => self.delivery_wakes.notify_one(),
            Signal::Cancel(cancel) => {
                // Without a receiver there is no worker to tell; its heartbeat will learn it.
                let _ = self.cancels.send(cancel);
            }
            // Cancels that were missed are told by heartbeats.
            Signal::Missed => {
                [&self.wakes, &self.cron_wakes, &self.delivery_wakes].into_iter().for_each(|each| each.notify_one());
            }
            // A kind that this backend does not know concerns none of its rows.
            _ => {}
        }
    }

    /// Passes on what other processes send.
    async fn listen(self, mut received: broadcast::Receiver<Signal>) {
        loop {
            match received.recv().await {
                Ok(signal) => self.give(signal),
                Err(broadcast::error::RecvError::Lagged(_)) => self.give(Signal::Missed),
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }
}

impl Postgres {
    /// Opens the database, which must exist, and brings its schema up to date.
    ///
    /// # Errors
    /// `Unavailable` for a server that cannot be reached or used, `Invalid` for a URL that is none or a schema that comes from a newer version; the message says what to do.
    pub async fn open(url: &str, options: PostgresOptions) -> Result<Self> {
        let (pool, pooler) = connection::open(url, &options).await?;
        let (cancels, _) = broadcast::channel(CANCELS_KEPT);
        let (wakes, cron_wakes, delivery_wakes) = (Arc::default(), Arc::default(), Arc::default());
        let hints = Hints { wakes, cron_wakes, delivery_wakes, cancels };
        let PostgresOptions { clock, signals, .. } = options;
        let listen =
            |signals: &Arc<dyn Signals>| tokio::spawn(hints.clone().listen(signals.subscribe())).abort_handle();
        let listener = signals.as_ref().map(listen);
        Ok(Self { shared: Arc::new(Shared { clock, pool, pooler, hints, signals, listener }) })
    }

    /// Waits for what is under way, and closes all connections. Later calls fail with `Unavailable`.
    pub async fn close(&self) {
        self.shared.pool.close().await;
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Tells who waits, here and in other processes.
    fn hint(&self, signal: Signal) {
        if let Some(signals) = &self.shared.signals {
            signals.send(signal.clone());
        }
        self.shared.hints.give(signal);
    }

    fn hint_if(&self, happened: bool, signal: Signal) {
        if happened {
            self.hint(signal);
        }
    }

    /// Tells the workers of runs that were deleted, and that they have left room for others.
    fn stop_deleted(&self, runs: &[RunId]) {
        self.hint_if(!runs.is_empty(), Signal::RunsReady);
        for run_id in runs {
            self.hint(Signal::Cancel(run::deleted(*run_id)));
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(listener) = &self.listener {
            listener.abort();
        }
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").finish_non_exhaustive()
    }
}
