//! What API servers and workers need to know of an application, without its code and its secrets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AppConfig, AuthConfig, HttpConfig, StoreConfig, ThreadTtl, WebhooksConfig};

/// Variables that stand in for parts of `langgraph.json`, and which the application's `env` may hold.
const VARIABLES: [&str; 7] = [
    "ALLOW_PRIVATE_NETWORK",
    "CORS_ALLOW_ORIGINS",
    "CORS_CONFIG",
    "HTTP_MAX_REQUEST_BODY_BYTES",
    "LANGGRAPH_MOUNT_PREFIX",
    "LANGGRAPH_THREAD_TTL",
    "MOUNT_PREFIX",
];

/// What API servers and workers need to know of an application: parts of `langgraph.json` as written. The application's `env` is not among them, but for the
/// variables that stand in for such parts; nor are the headers of webhooks.
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
    /// Variables of the application's `env` that stand in for parts of the above.
    pub variables: BTreeMap<String, String>,
}

impl AppSettings {
    /// Those of an application; `env` is what [`AppConfig::resolve_env`] found.
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
