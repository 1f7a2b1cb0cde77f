//! What a runner is started with, beside its hosts.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use langopen_core::Tenant;

use super::RunnerError;

use crate::config::{AppSettings, Secret};
use crate::tls::ServerTls;

/// What a runner is started with, beside its hosts.
#[derive(Debug, Clone)]
pub struct RunnerServiceSettings {
    /// What it is called in logs.
    pub name: String,
    /// The deployment that its hosts run the graphs of.
    pub tenant: Tenant,
    /// What clients must know; `None` lets those in that `tls` lets in.
    pub token: Option<Secret>,
    /// Certificates; `None` for connections in the clear.
    pub tls: Option<ServerTls>,
    /// What workers and API servers need to know of the application.
    pub app: AppSettings,
    /// The headers of webhooks, with the secrets in them. They are told to clients that deliver webhooks, and to no
    /// others.
    pub webhook_headers: BTreeMap<String, Secret>,
}

impl RunnerServiceSettings {
    /// Whether a runner may listen there with them. It asks so itself when it starts; this is for those who want to
    /// know before slower steps.
    ///
    /// # Errors
    /// `Unprotected` for a port that others can reach and that asks nobody who they are; `Tls` for certificates that
    /// cannot be used.
    pub fn check(&self, address: SocketAddr) -> Result<(), RunnerError> {
        let certified = self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        if self.token.is_none() && !certified && !address.ip().is_loopback() {
            return Err(RunnerError::Unprotected(address));
        }
        self.tls.as_ref().map_or(Ok(()), |tls| tls.acceptor().map(drop).map_err(RunnerError::from))
    }
}
