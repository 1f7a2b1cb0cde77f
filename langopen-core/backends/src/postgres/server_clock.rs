//! The clock of the database server.
//!
//! Processes on one database compare times with each other, such as the expiry of a lease or the start time of a run.
//! The clocks of their machines differ and jump, so all processes use the server's clock.

use std::sync::Arc;
use std::time::Duration;

use langopen_core::clock::{Clock, Timestamp};
use langopen_core::error::Result;
use parking_lot::Mutex;
use sqlx::PgPool;
use tokio::time::Instant;

use super::columns::Context;
use super::connection;

const OPERATION: &str = "postgres.clock";

/// The interval between two reads of the server's clock.
const ASKED_EVERY: Duration = Duration::from_secs(5);

/// A read that took longer than this is too inaccurate and is ignored.
const PATIENCE: Duration = Duration::from_secs(1);

/// The last reading of the server's clock, plus the time that has passed since on this machine's monotonic clock. A
/// change of this machine's wall clock has no effect.
pub(super) struct ServerClock {
    read: Mutex<Read>,
}

#[derive(Clone, Copy)]
struct Read {
    server: Timestamp,
    at: Instant,
}

impl Read {
    async fn ask(pool: &PgPool, pooler: bool) -> Result<(Self, Duration)> {
        let asked = Instant::now();
        let mut transaction = connection::begin(pool, pooler).await.context(OPERATION)?;
        let begun = Instant::now();
        let time = sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT");
        let server: i64 = time.persistent(false).fetch_one(&mut *transaction).await.context(OPERATION)?;
        let at = Instant::now();
        transaction.commit().await.context(OPERATION)?;
        Ok((Self { server: Timestamp::from_micros(server).plus((at - begun) / 2), at }, at - asked))
    }
}

impl ServerClock {
    /// Reads the server's clock.
    pub(super) async fn read(pool: &PgPool, pooler: bool) -> Result<Self> {
        let (read, _) = Read::ask(pool, pooler).await?;
        Ok(Self { read: Mutex::new(read) })
    }

    /// Reads the server's clock periodically. While the server does not answer, this machine's monotonic clock
    /// continues the last reading.
    pub(super) async fn follow(self: Arc<Self>, pool: PgPool, pooler: bool) {
        loop {
            tokio::time::sleep(ASKED_EVERY).await;
            match Read::ask(&pool, pooler).await {
                Ok((read, took)) if took <= PATIENCE => *self.read.lock() = read,
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, "cannot read the database server's clock; using the last reading")
                }
            }
        }
    }
}

impl Clock for ServerClock {
    fn now(&self) -> Timestamp {
        let read = *self.read.lock();
        read.server.plus(read.at.elapsed())
    }
}
