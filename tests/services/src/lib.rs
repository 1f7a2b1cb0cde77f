//! What tests need around them: certificates, PgBouncer, and Postgres and Redis: those that the environment names, containers, or servers of this machine's own packages.
//!
//! See the README beside this crate for the order. Each is started at most once in a process.

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

/// The variable that names a Postgres.
pub const DATABASE_URL: &str = "DATABASE_URL";
/// The variable that names a Redis.
pub const REDIS_URL: &str = "REDIS_URL";
/// The variable that chooses what is started: `local` or `docker`.
pub const CHOICE: &str = "LANGOPEN_TEST_SERVICES";

static POSTGRES: OnceCell<String> = OnceCell::const_new();
static REDIS: OnceCell<String> = OnceCell::const_new();

/// The URL of a Postgres whose user may create databases.
///
/// # Panics
/// When there is none to be had; the message says what to install.
pub async fn postgres_url() -> String {
    started(POSTGRES.get_or_try_init(async || match named(DATABASE_URL) {
        Some(url) => Ok(url),
        None if containers().await? => container::postgres().await,
        None => local::postgres().await,
    }))
    .await
}

/// The URL of a Redis, for keys with a prefix of one's own.
///
/// # Panics
/// When there is none to be had; the message says what to install.
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

/// Whether containers are started.
async fn containers() -> Result<bool> {
    match named(CHOICE).as_deref() {
        Some("local") => Ok(false),
        Some("docker") => Ok(true),
        None => Ok(container::available().await),
        Some(other) => Err(Error::Choice(other.to_owned())),
    }
}
