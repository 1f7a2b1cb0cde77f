//! Connections of the comparison's own to the two stores, as a process of the platform has them.

use std::sync::Arc;

use langopen_backends::failover::FailoverEventLog;
use langopen_backends::postgres::{Postgres, PostgresOptions, PostgresSignals};
use langopen_backends::redis::{RedisLogOptions, RedisSignals};
use langopen_core::EventLog;

use crate::error::Result;

/// What keys and channels begin with.
const PREFIX: &str = "langopen:";

/// Opens both.
pub(super) async fn open(database: &str, redis: &str) -> Result<(Postgres, Arc<dyn EventLog>)> {
    let signals = Arc::new(RedisSignals::new(redis, PREFIX)?);
    let postgres = Postgres::open(database, PostgresOptions::default().with_signals(signals)).await?;
    let through_postgres = Arc::new(PostgresSignals::new(database)?);
    let events = FailoverEventLog::open(redis, RedisLogOptions::default(), &postgres, Some(through_postgres)).await?;
    Ok((postgres, Arc::new(events)))
}
