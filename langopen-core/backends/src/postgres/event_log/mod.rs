//! The event log in the database: for installations without Redis, and for the times when it is away.

mod group;
#[cfg(feature = "redis")]
mod mode;
mod readers;
mod rows;
mod store;
mod writer;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use langopen_core::clock::Clock;
use langopen_core::error::Result;

use super::Postgres;
use crate::live_log::RETENTION;
use crate::shared_log::{SharedLog, event_log};

#[cfg(feature = "redis")]
pub(crate) use mode::Mode;
pub(crate) use store::PostgresStore;

/// [`EventLog`](langopen_core::EventLog) in a Postgres database, shared by all processes on it. Clones share everything.
///
/// What a resumable run says is committed before any reader sees it. What others say is written only if some process reads the thread, and is dropped
/// minutes later. Processes tell each other by the database's signals, and look every second in case that these get lost.
#[derive(Clone)]
pub struct PostgresEventLog {
    log: Arc<SharedLog<PostgresStore>>,
    clock: Arc<dyn Clock>,
    retention: Duration,
}

impl PostgresEventLog {
    /// The log in `db`, which keeps an ended log for two minutes.
    ///
    /// # Errors
    /// `Unavailable` if the database does not answer.
    pub async fn open(db: &Postgres) -> Result<Self> {
        Self::open_with_retention(db, RETENTION).await
    }

    /// The log in `db`, which keeps an ended log for as long as `retention`.
    ///
    /// # Errors
    /// `Unavailable` if the database does not answer.
    pub async fn open_with_retention(db: &Postgres, retention: Duration) -> Result<Self> {
        let store = Arc::new(PostgresStore::open(db, retention, db.shared.signals.clone()).await?);
        let clock = Arc::clone(&db.shared.clock);
        Ok(Self { log: Arc::new(SharedLog::new(store, Arc::clone(&clock))), clock, retention })
    }
}

impl fmt::Debug for PostgresEventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresEventLog").field("retention", &self.retention).finish_non_exhaustive()
    }
}

event_log!(PostgresEventLog);
