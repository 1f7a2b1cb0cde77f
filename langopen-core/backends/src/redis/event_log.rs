//! The event log on a Redis server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use langopen_core::clock::{Clock, SystemClock};
use langopen_core::error::Result;

use super::log_store::RedisStore;
use crate::live_log::RETENTION;
use crate::shared_log::{SharedLog, event_log};

/// How a log on a Redis server is opened.
#[derive(Clone)]
#[non_exhaustive]
pub struct RedisLogOptions {
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// What the names of all keys and channels begin with. Installations that share a server have different ones.
    pub prefix: String,
    /// How long an ended log is kept.
    pub retention: Duration,
    /// How long an append is tried while the server does not answer.
    pub patience: Duration,
}

impl Default for RedisLogOptions {
    fn default() -> Self {
        let prefix = "langopen:".to_owned();
        Self { clock: Arc::new(SystemClock), prefix, retention: RETENTION, patience: Duration::from_secs(10) }
    }
}

impl RedisLogOptions {
    /// Reads time from `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Begins all names with `prefix`.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Keeps an ended log this long.
    #[must_use]
    pub fn with_retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// Tries an append this long.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

impl fmt::Debug for RedisLogOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RedisLogOptions");
        shown.field("prefix", &self.prefix).field("retention", &self.retention).field("patience", &self.patience);
        shown.finish_non_exhaustive()
    }
}

/// [`EventLog`](langopen_core::EventLog) on a Redis server (7 or newer), shared by all processes that name the same server and prefix. Clones share everything.
///
/// Appending is one round trip, in which readers in other processes get it too. What a resumable run says is as safe as what the server keeps: with an
/// append-only file it survives the server's restart, otherwise what was there is gone then, readers go on with what comes, and nothing is shown twice.
/// What is not kept, and nobody reads, costs a look and no space.
#[derive(Clone)]
pub struct RedisEventLog {
    log: Arc<SharedLog<RedisStore>>,
    clock: Arc<dyn Clock>,
    retention: Duration,
}

impl RedisEventLog {
    /// Connects to the server at `redis://...`, or `rediss://...` over TLS.
    ///
    /// # Errors
    /// `Invalid` for a bad URL or bad credentials, `Unavailable` for a server that does not answer.
    pub async fn open(url: &str, options: RedisLogOptions) -> Result<Self> {
        let RedisLogOptions { clock, prefix, retention, patience } = options;
        let store = Arc::new(RedisStore::new(url, &prefix, retention, patience)?);
        store.ping().await?;
        Ok(Self { log: Arc::new(SharedLog::new(store, Arc::clone(&clock))), clock, retention })
    }
}

impl fmt::Debug for RedisEventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisEventLog").field("retention", &self.retention).finish_non_exhaustive()
    }
}

event_log!(RedisEventLog);
