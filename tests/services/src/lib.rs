//! Services for tests: Postgres, Redis, PgBouncer, and TLS certificates.
//!
//! Postgres and Redis come from the environment, from containers, or from programs of this machine. The README beside
//! this crate describes the order. A process starts each of them at most once.

#![forbid(unsafe_code)]

mod certificates;
mod container;
mod error;
mod guard;
mod local;
mod own_postgres;
mod pgbouncer;
mod tls_redis;

use tokio::sync::OnceCell;

pub use certificates::Authority;
pub use error::{Error, Result};
pub use own_postgres::OwnPostgres;
pub use pgbouncer::PgBouncer;
pub use tls_redis::TlsRedis;

/// The environment variable with a Postgres URL.
pub const DATABASE_URL: &str = "DATABASE_URL";
/// The environment variable with a Redis URL.
pub const REDIS_URL: &str = "REDIS_URL";
/// The environment variable that chooses how services are started: `local` or `docker`.
pub const CHOICE: &str = "LANGOPEN_TEST_SERVICES";

static POSTGRES: OnceCell<String> = OnceCell::const_new();
static REDIS: OnceCell<String> = OnceCell::const_new();

/// The URL of a Postgres whose user may create databases.
///
/// # Panics
/// If no Postgres is available; the message says what to install.
pub async fn postgres_url() -> String {
    started(POSTGRES.get_or_try_init(async || match named(DATABASE_URL) {
        Some(url) => Ok(url),
        None if containers().await? => container::postgres().await,
        None => local::postgres().await,
    }))
    .await
}

/// The URL of a Redis. Each test must prefix its keys.
///
/// # Panics
/// If no Redis is available; the message says what to install.
pub async fn redis_url() -> String {
    started(REDIS.get_or_try_init(async || match named(REDIS_URL) {
        Some(url) => Ok(url),
        None if containers().await? => container::redis().await,
        None => local::redis().await,
    }))
    .await
}

async fn started(start: impl Future<Output = Result<&'static String>>) -> String {
    match start.await {
        Ok(url) => url.clone(),
        Err(error) => panic!("{error}"),
    }
}

fn named(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|url| !url.is_empty())
}

/// Whether to start services in containers.
async fn containers() -> Result<bool> {
    match named(CHOICE).as_deref() {
        Some("local") => Ok(false),
        Some("docker") => Ok(true),
        None => Ok(container::available().await),
        Some(other) => Err(Error::Choice(other.to_owned())),
    }
}
