//! The event log on Redis, and in Postgres while Redis is away.

mod moves;
mod store;
mod tail;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use langopen_core::Signals;
use langopen_core::clock::Clock;
use langopen_core::error::Result;

use crate::postgres::Postgres;
use crate::redis::RedisLogOptions;
use crate::shared_log::{SharedLog, event_log};
use store::FailoverStore;

/// [`EventLog`](langopen_core::EventLog) on a Redis server, and in a Postgres database while the server does not answer. Clones share everything.
///
/// All processes agree by a row of the database on where the log is. Whoever finds that Redis does not do an append within half a second moves it to the
/// database, and everybody goes on there; when Redis has answered again for a few seconds, it moves back. Whoever appended something in the last seconds
/// before a move copies it to its places, and puts behind it what Redis was asked to append and has not answered, where Redis would have put it. Readers wait two and a half seconds for that, so they miss nothing
/// that they had not heard of yet; ids go on rising, because each move leaves a gap in them that no clock of a process is off by. What Redis alone knew is read again when it is back; a reader who asks for it
/// waits until then, for a minute.
///
/// What is lost with a server that keeps nothing on disk is what was kept there for replay. Nothing is shown twice, and open readers go on.
///
/// Three things are not covered. Who dies together with Redis copies nothing, so readers in other processes may miss its very last words until they read again. The first words of a process on a thread, if Redis
/// did them and went before it answered, have another place in the database, so who read them, went away and comes back just there reads them twice. And while only some processes lose Redis, and others reach it
/// for another second without knowing, two that append to one thread within that time are heard in one order by all, which may not be theirs.
#[derive(Clone)]
pub struct FailoverEventLog {
    log: Arc<SharedLog<FailoverStore>>,
    clock: Arc<dyn Clock>,
    retention: Duration,
}

impl FailoverEventLog {
    /// On the Redis server at `url`, which need not answer now, and in `db`. While Redis is away, processes tell each other by `signals`, which must not go through it: those
    /// of the database. Patience of the options is how long an append is tried before the log moves, at most half a second.
    ///
    /// # Errors
    /// `Invalid` for a bad URL, `Unavailable` if the database does not answer.
    pub async fn open(
        url: &str,
        options: RedisLogOptions,
        db: &Postgres,
        signals: Option<Arc<dyn Signals>>,
    ) -> Result<Self> {
        let (clock, retention) = (Arc::clone(&options.clock), options.retention);
        let store = Arc::new(FailoverStore::open(url, options, db, signals).await?);
        Ok(Self { log: Arc::new(SharedLog::new(store, Arc::clone(&clock))), clock, retention })
    }

    /// Whether Redis carries the log now, as far as this process knows.
    pub fn is_on_redis(&self) -> bool {
        self.log.store().is_on_redis()
    }
}

impl fmt::Debug for FailoverEventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailoverEventLog").field("retention", &self.retention).finish_non_exhaustive()
    }
}

event_log!(FailoverEventLog);
