//! The comparison's own connections to Postgres and Redis, as a process of the platform opens them.

use std::sync::Arc;

use langopen_backends::failover::FailoverEventLog;
use langopen_backends::postgres::{Postgres, PostgresOptions, PostgresSignals};
use langopen_backends::redis::{RedisLogOptions, RedisSignals};
use langopen_core::EventLog;

use crate::error::Result;

/// The prefix of keys and channels.
const PREFIX: &str = "langopen:";

/// Opens both stores.
pub(super) async fn open(database: &str, redis: &str) -> Result<(Postgres, Arc<dyn EventLog>)> {
    let signals = Arc::new(RedisSignals::new(redis, PREFIX)?);
    let postgres = Postgres::open(database, PostgresOptions::default().with_signals(signals)).await?;
    let through_postgres = Arc::new(PostgresSignals::new(database)?);
    let events = FailoverEventLog::open(redis, RedisLogOptions::default(), &postgres, Some(through_postgres)).await?;
    Ok((postgres, Arc::new(events)))
}
