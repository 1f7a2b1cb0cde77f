//! Backends in a Postgres database that many processes share.
//!
//! Every operation is one statement or one transaction at READ COMMITTED. A transaction that decides which run of a
//! thread is next first locks the thread's row, then the rows of its runs. The most frequent operations are functions
//! in the database, so each is one round trip. No state lives in a session, so a pooler such as PgBouncer works, even
//! in transaction mode (see [`PostgresOptions::pooler`]).

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
mod health;
mod outbox;
mod queue;
mod readiness;
mod run_search;
mod runs;
mod server_clock;
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

use langopen_core::clock::{Clock, Timestamp};
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
use server_clock::ServerClock;
pub use signals::PostgresSignals;

/// How a backend opens its database.
#[derive(Clone)]
#[non_exhaustive]
pub struct PostgresOptions {
    /// The source of the current time; `None` for the database server's clock. Processes on one database compare times
    /// with each other, and the clocks of their machines differ.
    pub clock: Option<Arc<dyn Clock>>,
    /// The maximum number of connections of this process.
    pub connections: u32,
    /// Whether a pooler may use another server connection for each transaction (PgBouncer in transaction mode). The
    /// backend then prepares no statements and wraps each statement in a transaction, which costs round trips. `None`
    /// reads `?pooler=true` from the URL; the default is no pooler.
    pub pooler: Option<bool>,
    /// The signals to and from other processes on the same database; `None` if no other process uses it.
    pub signals: Option<Arc<dyn Signals>>,
}

impl PostgresOptions {
    /// Uses this clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Sets the maximum number of connections.
    #[must_use]
    pub fn with_connections(mut self, connections: u32) -> Self {
        self.connections = connections;
        self
    }

    /// Sets whether a pooler is in use.
    #[must_use]
    pub fn with_pooler(mut self, pooler: bool) -> Self {
        self.pooler = Some(pooler);
        self
    }

    /// Sends signals to other processes, and receives theirs.
    #[must_use]
    pub fn with_signals(mut self, signals: Arc<dyn Signals>) -> Self {
        self.signals = Some(signals);
        self
    }
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { clock: None, connections: 16, pooler: None, signals: None }
    }
}

/// [`Storage`](langopen_core::Storage), [`Queue`](langopen_core::Queue) and [`Outbox`](langopen_core::Outbox) in a
/// Postgres database. Clones share all data.
///
/// Any number of processes may open the same database. If a process dies, another process claims its runs when their
/// leases expire.
#[derive(Clone)]
pub struct Postgres {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    /// The task that keeps reading the server's clock.
    follower: Option<AbortHandle>,
    pool: PgPool,
    pooler: bool,
    hints: Hints,
    signals: Option<Arc<dyn Signals>>,
    /// The task that receives signals from other processes.
    listener: Option<AbortHandle>,
}

/// The channels that wake the waiting parts of this process.
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
                // An error means that no worker listens; the run's worker learns of the cancel from its next heartbeat.
                let _ = self.cancels.send(cancel);
            }
            // Workers learn of missed cancels from their next heartbeats.
            Signal::Missed => {
                [&self.wakes, &self.cron_wakes, &self.delivery_wakes].into_iter().for_each(|each| each.notify_one());
            }
            // An unknown kind of signal concerns none of this backend's rows.
            _ => {}
        }
    }

    /// Forwards the signals of other processes to the parts of this one.
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
    /// `Unavailable` if the server cannot be reached or used. `Invalid` if the URL is not a Postgres URL, or a newer
    /// version created the schema. The message names the remedy.
    pub async fn open(url: &str, options: PostgresOptions) -> Result<Self> {
        let (pool, pooler) = connection::open(url, &options).await?;
        let (cancels, _) = broadcast::channel(CANCELS_KEPT);
        let (wakes, cron_wakes, delivery_wakes) = (Arc::default(), Arc::default(), Arc::default());
        let hints = Hints { wakes, cron_wakes, delivery_wakes, cancels };
        let PostgresOptions { clock, signals, .. } = options;
        let (clock, follower) = match clock {
            Some(clock) => (clock, None),
            None => {
                let clock = Arc::new(ServerClock::read(&pool, pooler).await?);
                let follower = tokio::spawn(Arc::clone(&clock).follow(pool.clone(), pooler)).abort_handle();
                (clock as Arc<dyn Clock>, Some(follower))
            }
        };
        let listen =
            |signals: &Arc<dyn Signals>| tokio::spawn(hints.clone().listen(signals.subscribe())).abort_handle();
        let listener = signals.as_ref().map(listen);
        Ok(Self { shared: Arc::new(Shared { clock, follower, pool, pooler, hints, signals, listener }) })
    }

    /// Waits until all connections are idle, and closes them. Later calls fail with `Unavailable`.
    pub async fn close(&self) {
        self.shared.pool.close().await;
    }

    /// The clock of this backend: the one from the options, or else the database server's. Callers that pass times to
    /// the backend, e.g. when a run may start, must use this clock.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.shared.clock)
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// The current time for leases.
    fn steady(&self) -> Timestamp {
        self.shared.clock.steady()
    }

    /// Signals the waiting parts of this process and of other processes.
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

    /// Signals the workers of deleted runs to stop, and signals that other runs may start.
    fn stop_deleted(&self, runs: &[RunId]) {
        self.hint_if(!runs.is_empty(), Signal::RunsReady);
        for run_id in runs {
            self.hint(Signal::Cancel(run::deleted(*run_id)));
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        for task in [&self.listener, &self.follower].into_iter().flatten() {
            task.abort();
        }
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").finish_non_exhaustive()
    }
}
