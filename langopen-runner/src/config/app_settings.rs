//! The settings of an application that API servers and workers need. They contain no code and no secrets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AppConfig, AuthConfig, HttpConfig, StoreConfig, ThreadTtl, WebhooksConfig};

/// Variables of the application's `env` that replace absent keys of `langgraph.json`.
const VARIABLES: [&str; 7] = [
    "ALLOW_PRIVATE_NETWORK",
    "CORS_ALLOW_ORIGINS",
    "CORS_CONFIG",
    "HTTP_MAX_REQUEST_BODY_BYTES",
    "LANGGRAPH_MOUNT_PREFIX",
    "LANGGRAPH_THREAD_TTL",
    "MOUNT_PREFIX",
];

/// The settings of an application that API servers and workers need: parts of `langgraph.json`, as written.
///
/// From the application's `env` they contain only the variables that replace absent parts. They do not contain the
/// headers of webhooks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AppSettings {
    /// `http`.
    pub http: HttpConfig,
    /// `auth`.
    pub auth: Option<AuthConfig>,
    /// `store`.
    pub store: Option<StoreConfig>,
    /// `checkpointer.ttl`.
    pub thread_ttl: Option<ThreadTtl>,
    /// `webhooks`, without `headers`.
    pub webhooks: Option<WebhooksConfig>,
    /// Variables of the application's `env` that replace absent keys.
    pub variables: BTreeMap<String, String>,
}

impl AppSettings {
    /// The settings of an application; `env` holds the variables of [`AppConfig::resolve_env`].
    #[must_use]
    pub fn of(config: &AppConfig, env: &BTreeMap<String, String>) -> Self {
        let variables = VARIABLES.iter().filter_map(|&name| Some((name.to_owned(), env.get(name)?.clone())));
        Self {
            http: config.http.clone().unwrap_or_default(),
            auth: config.auth.clone(),
            store: config.store.clone(),
            thread_ttl: config.checkpointer.as_ref().and_then(|checkpointer| checkpointer.ttl.clone()),
            webhooks: config.webhooks.clone(),
            variables: variables.collect(),
        }
    }
}
