//! Connecting to a server.

use std::time::Duration;

use langopen_core::error::{Error, ErrorKind, Result};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisError};
use rustls::crypto::{CryptoProvider, aws_lc_rs};

/// How long a server may take to accept a connection.
const CONNECT: Duration = Duration::from_millis(500);

/// The pause before a call tries to connect again.
const PAUSE: Duration = Duration::from_millis(20);

/// A server, by its address: `redis://` or, over TLS, `rediss://`.
#[derive(Debug, Clone)]
pub(super) struct Server {
    client: Client,
}

impl Server {
    /// # Errors
    /// `Invalid` if `url` is no Redis URL. The message does not show the URL, because it may hold a password.
    pub(super) fn new(url: &str) -> Result<Self> {
        // Without a default, rustls takes the provider that is compiled in, and panics if there are two. If another
        // crate has set a default, it stays.
        if CryptoProvider::get_default().is_none() {
            let _ = aws_lc_rs::default_provider().install_default();
        }
        let client = Client::open(url).map_err(|error| {
            let message =
                "this is no Redis URL; it must look like redis://user:password@host:6379/0, or rediss:// for TLS";
            Error::invalid("redis.open", message).with_source(error)
        })?;
        Ok(Self { client })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// A shared connection that connects at the first call and reconnects when it breaks. An answer may take
    /// `patience`.
    ///
    /// # Errors
    /// `Invalid` if the URL's settings allow no connection.
    pub(super) fn connection(&self, patience: Duration) -> Result<ConnectionManager> {
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_min_delay(PAUSE)
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(patience));
        ConnectionManager::new_lazy_with_config(self.client.clone(), config).map_err(|error| {
            Error::invalid("redis.open", "the settings of the Redis URL allow no connection").with_source(error)
        })
    }

    /// An error that names the operation and the server.
    pub(super) fn failed(&self, operation: &'static str) -> impl Fn(RedisError) -> Error + use<> {
        let address = self.client.get_connection_info().addr().to_string();
        move |error| {
            let kind = match error.kind() {
                redis::ErrorKind::AuthenticationFailed | redis::ErrorKind::InvalidClientConfig => ErrorKind::Invalid,
                redis::ErrorKind::Parse | redis::ErrorKind::UnexpectedReturnType => ErrorKind::Internal,
                _ => ErrorKind::Unavailable,
            };
            Error::new(kind, operation, format!("Redis at {address} failed")).with_source(error)
        }
    }
}
