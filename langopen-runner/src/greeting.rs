//! The first frames between a runner and a client.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::AppSettings;
use crate::host::{Offer, Status};

/// The version of the protocol between runners and their clients.
pub(crate) const RUNNER_PROTOCOL: u32 = 2;

/// HELLO, from a client to a runner.
#[derive(Serialize, Deserialize)]
pub(crate) struct ClientHello {
    pub(crate) protocol: u32,
    #[serde(default)]
    pub(crate) token: Option<String>,
    /// The client's name in logs.
    pub(crate) name: String,
    /// Whether the client serves the API requests of the application itself.
    #[serde(default)]
    pub(crate) serves_api: bool,
    /// Whether the client delivers webhooks.
    #[serde(default)]
    pub(crate) delivers_webhooks: bool,
}

/// READY, from a runner to a client.
#[derive(Serialize, Deserialize)]
pub(crate) struct RunnerReady {
    pub(crate) protocol: u32,
    /// The runner's name in logs.
    pub(crate) name: String,
    /// The deployment: `organization/project/deployment`.
    pub(crate) tenant: String,
    /// The first and the last number that the client may choose.
    pub(crate) handles: (u32, u32),
    pub(crate) offer: Offer,
    pub(crate) app: AppSettings,
    /// The headers may contain secrets.
    #[serde(default)]
    pub(crate) webhook_headers: BTreeMap<String, String>,
    pub(crate) status: Status,
}

/// FATAL, from a runner to a client that it does not serve.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Refused {
    pub(crate) error: String,
    pub(crate) message: String,
}
