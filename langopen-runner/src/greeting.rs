//! The first frames between a runner and a client, and what they say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::AppSettings;
use crate::host::{Offer, Status};

/// The version of the frames between runners and their clients.
pub(crate) const RUNNER_PROTOCOL: u32 = 1;

/// HELLO, from a client to a runner.
#[derive(Serialize, Deserialize)]
pub(crate) struct ClientHello {
    pub(crate) protocol: u32,
    #[serde(default)]
    pub(crate) token: Option<String>,
    /// What it is called in logs.
    pub(crate) name: String,
    /// Whether it serves the requests that the application itself makes of the API.
    #[serde(default)]
    pub(crate) serves_api: bool,
    /// Whether it delivers webhooks.
    #[serde(default)]
    pub(crate) delivers_webhooks: bool,
}

/// READY, from a runner to a client.
#[derive(Serialize, Deserialize)]
pub(crate) struct RunnerReady {
    pub(crate) protocol: u32,
    /// What it is called in logs.
    pub(crate) name: String,
    /// `organization/project/deployment`.
    pub(crate) tenant: String,
    /// The first and the last of the numbers that the client may choose.
    pub(crate) handles: (u32, u32),
    pub(crate) offer: Offer,
    pub(crate) app: AppSettings,
    /// They hold secrets.
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
