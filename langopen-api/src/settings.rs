//! The settings of a server.

use std::sync::Arc;
use std::time::Duration;

use langopen_core::JsonMap;
use langopen_core::webhook::UrlPolicy;
use serde_json::Value;

use langopen_core::model::ThreadTtl;

use crate::http::cors::Cors;
use crate::http::extract::BodyLimits;
use crate::http::headers::{ConfigurableHeaders, LoggingHeaders};

/// The settings of a server: its identity, limits, defaults and features.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// `version` of `/info`: the version of the Agent Server whose dialect this server speaks.
    pub version: String,
    /// `langgraph_py_version` of `/info`.
    pub langgraph_version: String,
    /// `host` of `/info`.
    pub host: HostInfo,
    /// The largest request body, in bytes. A larger body gets 413.
    pub max_body_bytes: usize,
    /// The largest body, in bytes, of a request that holds only conditions, ids and names, such as a search, a filter
    /// or a subscription. A larger body gets 413. It is also the limit for all subscriptions of one WebSocket together.
    pub max_search_body_bytes: usize,
    /// The largest message of a WebSocket, in bytes. A larger message closes the WebSocket. It is also the limit for
    /// the commands that wait on one WebSocket.
    pub max_message_bytes: usize,
    /// How long the server waits for the next piece of a request body before it answers 408.
    pub body_timeout: Duration,
    /// How long a stream or a waiting response may be silent before the server sends a heartbeat and reads the run's
    /// row.
    pub heartbeat: Duration,
    /// The cross-origin (CORS) rules. With `None`, the program that serves the router sets them.
    pub cors: Option<Cors>,
    /// Whether the server refuses foreign web pages (403) while it admits requests without credentials. A page is
    /// foreign unless its origin is this machine's or `cors` names it; so is a request with a host name that is not
    /// this machine's. Pages of other origins must also send `application/json`, or get 415. Set it for a server on a
    /// loopback address, because browsers let every page reach that address.
    pub refuse_foreign_pages: bool,
    /// The request headers that graphs see in `configurable`.
    pub configurable_headers: ConfigurableHeaders,
    /// The request headers in the access log.
    pub logging_headers: LoggingHeaders,
    /// A path under which the API is served, e.g. `/agents`. The server then also answers `/`, `/ok` and `/metrics` at
    /// the root.
    pub mount_prefix: Option<String>,
    /// Whether a scheduler fires crons. It is `flags.crons` of `/info`.
    pub crons: bool,
    /// The groups of operations that the server offers.
    pub features: Features,
    /// The URLs that webhooks may have. With `None`, the server refuses runs that name a webhook. Set it only if a
    /// worker delivers webhooks.
    pub webhooks: Option<UrlPolicy>,
    /// How clients log in, for the OpenAPI document.
    pub security: SecurityDocument,
    /// The time to live of threads that are created without one, also by a run. With `None`, they live for ever.
    pub thread_ttl: Option<ThreadTtl>,
    /// The minutes after which a store item expires if the item does not set them. With `None`, it never expires.
    pub store_default_ttl_minutes: Option<f64>,
    /// The id of the assistant for requests of the root agent card that name no assistant.
    pub default_a2a_assistant: Option<String>,
    /// The tools whose results A2A clients see. With `None`, they see the results of all tools.
    pub a2a_tool_results: Option<Arc<[String]>>,
    /// Whether reading a store item postpones its expiry, unless the request decides otherwise.
    pub store_refresh_on_read: bool,
}

langopen_core::setters! {
    Settings {
        with_version version: String,
        with_langgraph_version langgraph_version: String,
        with_host host: HostInfo,
        with_max_body_bytes max_body_bytes: usize,
        with_max_search_body_bytes max_search_body_bytes: usize,
        with_max_message_bytes max_message_bytes: usize,
        with_body_timeout body_timeout: Duration,
        with_heartbeat heartbeat: Duration,
        with_cors cors: Option<Cors>,
        with_refuse_foreign_pages refuse_foreign_pages: bool,
        with_configurable_headers configurable_headers: ConfigurableHeaders,
        with_logging_headers logging_headers: LoggingHeaders,
        with_mount_prefix mount_prefix: Option<String>,
        with_crons crons: bool,
        with_features features: Features,
        with_webhooks webhooks: Option<UrlPolicy>,
        with_security security: SecurityDocument,
        with_thread_ttl thread_ttl: Option<ThreadTtl>,
        with_store_default_ttl_minutes store_default_ttl_minutes: Option<f64>,
        with_default_a2a_assistant default_a2a_assistant: Option<String>,
        with_a2a_tool_results a2a_tool_results: Option<Arc<[String]>>,
        with_store_refresh_on_read store_refresh_on_read: bool,
    }
}

impl Default for Settings {
    fn default() -> Self {
        let limits = BodyLimits::default();
        Self {
            version: "0.16.7".to_owned(),
            langgraph_version: "1.2.22".to_owned(),
            host: HostInfo::default(),
            max_body_bytes: limits.bytes,
            max_search_body_bytes: 1024 * 1024,
            max_message_bytes: 16 * 1024 * 1024,
            body_timeout: limits.silence,
            heartbeat: Duration::from_secs(5),
            cors: Some(Cors::default()),
            refuse_foreign_pages: false,
            configurable_headers: ConfigurableHeaders::default(),
            logging_headers: LoggingHeaders::default(),
            mount_prefix: None,
            crons: true,
            features: Features::default(),
            webhooks: None,
            security: SecurityDocument::default(),
            thread_ttl: None,
            store_default_ttl_minutes: None,
            default_a2a_assistant: None,
            a2a_tool_results: None,
            store_refresh_on_read: true,
        }
    }
}

/// The parts of an OpenAPI document that describe how clients log in. The server merges them into its document; they
/// take precedence.
#[derive(Debug, Clone, Default)]
pub struct SecurityDocument {
    /// `components.securitySchemes`, by name.
    pub schemes: JsonMap,
    /// `security`: the schemes that every operation needs. If it is empty, the document has none.
    pub security: Vec<Value>,
    /// By path, then by method: for example the `security` of single operations.
    pub paths: JsonMap,
}

/// `host` of `/info`: where the server runs.
#[derive(Debug, Clone)]
pub struct HostInfo {
    /// `self-hosted`, `saas` or `byoc`.
    pub kind: String,
    /// The project.
    pub project_id: Option<String>,
    /// The revision of the host.
    pub host_revision_id: Option<String>,
    /// The revision of the deployment.
    pub revision_id: Option<String>,
    /// The tenant.
    pub tenant_id: Option<String>,
}

impl Default for HostInfo {
    fn default() -> Self {
        Self {
            kind: "self-hosted".to_owned(),
            project_id: None,
            host_revision_id: None,
            revision_id: None,
            tenant_id: None,
        }
    }
}

/// The groups of operations that the server offers. A group that is off answers 404.
#[derive(Debug, Clone, Copy)]
pub struct Features {
    /// `/assistants`.
    pub assistants: bool,
    /// `/threads`, without its runs.
    pub threads: bool,
    /// `/runs` and `/threads/{thread_id}/runs`, including crons.
    pub runs: bool,
    /// `/store`.
    pub store: bool,
    /// `/mcp`.
    pub mcp: bool,
    /// `/a2a` and the agent cards.
    pub a2a: bool,
    /// `/ui`.
    pub ui: bool,
    /// Whether runs may name a webhook.
    pub webhooks: bool,
    /// The event streaming protocol below `/threads/{thread_id}`: `/commands` and `/stream/events`.
    pub event_streaming: bool,
    /// `/info`, `/metrics`, `/docs` and `/openapi.json`. `/ok` is always on.
    pub meta: bool,
}

impl Default for Features {
    fn default() -> Self {
        Self {
            assistants: true,
            threads: true,
            runs: true,
            store: true,
            mcp: true,
            a2a: true,
            ui: true,
            webhooks: true,
            event_streaming: true,
            meta: true,
        }
    }
}
