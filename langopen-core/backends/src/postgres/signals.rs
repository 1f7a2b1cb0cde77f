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

/// Signals that come within this time after some were sent go together: each time that something is sent, the server makes all others wait for a moment.
const GAP: Duration = Duration::from_millis(5);

/// The longest message, in bytes; the server takes less than 8000.
const LIMIT: usize = 7900;

/// The pause before the server is listened to again.
const PAUSE: Duration = Duration::from_millis(250);

/// [`Signals`] by `NOTIFY`, between all processes on the same database. Clones are the same party.
///
/// It has two connections of its own: one that sends and one that listens. A pooler in transaction mode carries what is sent, but whoever listens must go
/// past it: with a URL that names a pooler (`?pooler=true`) a process hears nothing, and learns everything when it looks, up to a second later.
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
    /// Through the database at `postgres://...`. It need not be there yet: until it is, nobody hears anything.
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
        // What listens through a pooler is the pooler's connection: others that use it next would be sent what they do not expect.
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

/// Passes on what other processes send.
async fn listen(pool: PgPool, own: Uuid, heard: broadcast::Sender<Signal>) {
    loop {
        if let Err(error) = hear(&pool, own, &heard).await {
            tracing::debug!(%error, "the database's signals cannot be heard; trying again");
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
            // Without a receiver there is nobody to tell.
            let _ = heard.send(signal);
        }
        // `None` when the connection broke and was made anew.
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
