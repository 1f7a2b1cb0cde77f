//! What a runner is started with, beside its hosts.

use std::collections::BTreeMap;

use langopen_core::Tenant;

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
    /// The headers of webhooks, with the secrets in them. They are told to clients that deliver webhooks, and to no others.
    pub webhook_headers: BTreeMap<String, Secret>,
}
