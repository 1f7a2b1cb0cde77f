//! The settings of a runner, beside those of its hosts.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use langopen_core::Tenant;

use super::RunnerError;

use crate::config::{AppSettings, Secret};
use crate::tls::ServerTls;

/// The settings of a runner, beside those of its hosts.
#[derive(Debug, Clone)]
pub struct RunnerServiceSettings {
    /// The runner's name in logs.
    pub name: String,
    /// The deployment whose graphs the hosts execute.
    pub tenant: Tenant,
    /// The token that clients must send. With `None`, only `tls` restricts the clients.
    pub token: Option<Secret>,
    /// The certificates; `None` for connections without TLS.
    pub tls: Option<ServerTls>,
    /// The settings of the application that workers and API servers need.
    pub app: AppSettings,
    /// The headers of webhooks, which contain secrets. The runner sends them only to clients that deliver webhooks.
    pub webhook_headers: BTreeMap<String, Secret>,
}

impl RunnerServiceSettings {
    /// Checks whether a runner may listen at `address` with these settings.
    /// [`RunnerService::start`](super::RunnerService::start) checks it too; call this to fail before slower steps.
    ///
    /// # Errors
    /// `Unprotected` if other machines can reach the port without authentication; `Tls` if the certificates cannot be
    /// used.
    pub fn check(&self, address: SocketAddr) -> Result<(), RunnerError> {
        let certified = self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        if self.token.is_none() && !certified && !address.ip().is_loopback() {
            return Err(RunnerError::Unprotected(address));
        }
        self.tls.as_ref().map_or(Ok(()), |tls| tls.acceptor().map(drop).map_err(RunnerError::from))
    }
}
