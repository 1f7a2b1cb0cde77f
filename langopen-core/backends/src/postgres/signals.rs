//! Signals between processes through the database.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use langopen_core::error::Result;
use langopen_core::ids::{IdSource, SystemIds};
use langopen_core::signals::{SIGNALS_KEPT, Signal, Signals};
use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::broadcast;
use tokio::task::AbortHandle;
use uuid::Uuid;

use super::columns::Context;
use super::connection;
use crate::signals::{Outbound, received};

const CHANNEL: &str = "langopen";

/// After a message, signals wait this long and are sent together. Each NOTIFY blocks other notifying commits on the
/// server for a moment.
const GAP: Duration = Duration::from_millis(5);

/// The maximum length of a message, in bytes. The server requires less than 8000.
const LIMIT: usize = 7900;

/// The pause before the listener connects again.
const PAUSE: Duration = Duration::from_millis(250);

/// [`Signals`] by `NOTIFY`, between all processes on the same database. Clones are the same party.
///
/// It uses two connections of its own: one sends, one listens. A pooler in transaction mode forwards messages that are
/// sent, but a listener needs a direct connection. With a URL that names a pooler (`?pooler=true`) the process receives
/// no signals, and learns of changes by polling, up to a second later.
#[derive(Clone)]
pub struct PostgresSignals {
    shared: Arc<Shared>,
}

struct Shared {
    outbound: Arc<Outbound>,
    heard: broadcast::Sender<Signal>,
    tasks: Vec<AbortHandle>,
}

impl PostgresSignals {
    /// Signals through the database at `postgres://...`. The database need not be reachable yet: until it is, no signal
    /// is sent or received.
    ///
    /// # Errors
    /// `Invalid` for a bad URL.
    pub fn new(url: &str) -> Result<Self> {
        let (connect, pooler) = connection::connect_options(url, None)?;
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(5));
        let sends = pool.clone().connect_lazy_with(connect.clone());
        let own = SystemIds.random();
        let (heard, _) = broadcast::channel(SIGNALS_KEPT);
        let outbound = Arc::new(Outbound::new(own, LIMIT));
        let send = Arc::clone(&outbound).run(GAP, move |messages| publish(sends.clone(), pooler, messages));
        let mut tasks = vec![tokio::spawn(send).abort_handle()];
        // Behind a pooler, LISTEN would apply to the pooler's server connection. Later clients of that connection would
        // receive unexpected notifications.
        if !pooler {
            let listens = pool.connect_lazy_with(connect);
            tasks.push(tokio::spawn(listen(listens, own, heard.clone())).abort_handle());
        }
        Ok(Self { shared: Arc::new(Shared { outbound, heard, tasks }) })
    }
}

async fn publish(pool: PgPool, pooler: bool, messages: Vec<String>) -> Result<()> {
    const OPERATION: &str = "signals.send";
    let notify = sqlx::query("SELECT pg_notify($1, message) FROM unnest($2::TEXT[]) AS message");
    let notify = notify.bind(CHANNEL).bind(messages);
    if !pooler {
        return notify.execute(&pool).await.map(drop).context(OPERATION);
    }
    let mut transaction = connection::begin(&pool, pooler).await.context(OPERATION)?;
    notify.execute(&mut *transaction).await.context(OPERATION)?;
    transaction.commit().await.context(OPERATION)
}

/// Receives the signals of other processes, forever.
async fn listen(pool: PgPool, own: Uuid, heard: broadcast::Sender<Signal>) {
    loop {
        if let Err(error) = hear(&pool, own, &heard).await {
            tracing::debug!(%error, "cannot receive signals from the database; trying again");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn hear(pool: &PgPool, own: Uuid, heard: &broadcast::Sender<Signal>) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    let mut signals = vec![Signal::Missed];
    loop {
        for signal in signals {
            // An error means that this process has no receiver.
            let _ = heard.send(signal);
        }
        // `None` means that the connection broke and sqlx opened a new one.
        signals = match listener.try_recv().await? {
            Some(message) => received(own, message.payload().as_bytes()),
            None => vec![Signal::Missed],
        };
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl fmt::Debug for PostgresSignals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresSignals").finish_non_exhaustive()
    }
}

impl Signals for PostgresSignals {
    fn send(&self, signal: Signal) {
        self.shared.outbound.add(signal);
    }

    fn subscribe(&self) -> broadcast::Receiver<Signal> {
        self.shared.heard.subscribe()
    }
}
