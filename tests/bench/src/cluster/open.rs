//! The comparison's own connections to Postgres and Redis, as a process of the platform opens them.

use std::sync::Arc;

use langopen_backends::postgres::{Postgres, PostgresEventLog, PostgresLogOptions, PostgresOptions, PostgresSignals};
use langopen_backends::redis::{RedisLive, RedisSignals};
use langopen_core::EventLog;

use crate::error::Result;

/// The prefix of channels.
const PREFIX: &str = "langopen:";

/// Opens both stores.
pub(super) async fn open(database: &str, redis: &str) -> Result<(Postgres, Arc<dyn EventLog>)> {
    let signals = Arc::new(RedisSignals::new(redis, PREFIX)?);
    let postgres = Postgres::open(database, PostgresOptions::default().with_signals(signals)).await?;
    let options = PostgresLogOptions::default()
        .with_signals(Arc::new(PostgresSignals::new(database)?))
        .with_live_copies(Arc::new(RedisLive::new(redis, PREFIX)?));
    let events = PostgresEventLog::open_with(&postgres, options).await?;
    Ok((postgres, Arc::new(events)))
}
