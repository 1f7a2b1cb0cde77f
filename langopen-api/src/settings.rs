//! The settings of a server.

use std::sync::Arc;
use std::time::Duration;

use langopen_core::JsonMap;
use langopen_core::webhook::UrlPolicy;
use serde_json::Value;

use langopen_core::model::ThreadTtl;

use crate::http::cors::Cors;

/// The settings of a server: its identity, limits, defaults and features.
#[derive(Debug, Clone)]
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

impl Default for Settings {
    fn default() -> Self {
        Self {
            version: "0.16.7".to_owned(),
            langgraph_version: "1.2.22".to_owned(),
            host: HostInfo::default(),
            max_body_bytes: 300 * 1024 * 1024,
            max_search_body_bytes: 1024 * 1024,
            max_message_bytes: 16 * 1024 * 1024,
            body_timeout: Duration::from_secs(30),
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

/// Selects the request headers that the server copies into a run's `configurable`. Each entry is a pattern over
/// lower-case names, in which `*` matches any text.
///
/// The server never copies credentials (`authorization`, `x-api-key`, `x-service-key`, `x-tenant-id`) and always copies
/// `langsmith-trace` and `baggage`.
#[derive(Debug, Clone, Default)]
pub struct ConfigurableHeaders {
    /// Headers to copy.
    pub includes: Vec<String>,
    /// Headers not to copy. It takes precedence over `includes`.
    pub excludes: Vec<String>,
}

impl ConfigurableHeaders {
    /// Whether the server copies the header with this lower-case name.
    pub fn copies(&self, name: &str) -> bool {
        const NEVER: [&str; 4] = ["authorization", "x-api-key", "x-service-key", "x-tenant-id"];
        const ALWAYS: [&str; 2] = ["langsmith-trace", "baggage"];
        let listed = |patterns: &[String]| listed(patterns, name);
        !NEVER.contains(&name) && (ALWAYS.contains(&name) || listed(&self.includes) && !listed(&self.excludes))
    }
}

/// Selects the request headers in the access log. Each entry is a pattern over lower-case names, in which `*` matches
/// any text. By default the log shows none.
///
/// The log never shows credentials (`authorization`, `proxy-authorization`, `cookie`, `x-api-key`, `x-service-key`,
/// `x-tenant-id`).
#[derive(Debug, Clone, Default)]
pub struct LoggingHeaders {
    /// Headers to show.
    pub includes: Vec<String>,
    /// Headers not to show. It takes precedence over `includes`.
    pub excludes: Vec<String>,
}

impl LoggingHeaders {
    /// Whether the log shows the header with this lower-case name.
    pub fn shows(&self, name: &str) -> bool {
        const NEVER: [&str; 6] =
            ["authorization", "cookie", "proxy-authorization", "x-api-key", "x-service-key", "x-tenant-id"];
        !NEVER.contains(&name) && listed(&self.includes, name) && !listed(&self.excludes, name)
    }

    /// The headers to show, as a JSON object; `None` if there are none.
    pub(crate) fn chosen(&self, headers: &http::HeaderMap) -> Option<String> {
        if self.includes.is_empty() {
            return None;
        }
        let shown = headers.iter().filter(|(name, _)| self.shows(name.as_str()));
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned().into();
        let shown: langopen_core::JsonMap = shown.map(|(name, value)| (name.to_string(), text(value))).collect();
        (!shown.is_empty()).then(|| serde_json::Value::Object(shown).to_string())
    }
}

/// Whether one of the patterns matches `name`.
fn listed(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|each| glob(&each.to_ascii_lowercase(), name))
}

/// Whether `pattern`, in which `*` matches any text, matches `text`.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    loop {
        if glob(rest, text) {
            return true;
        }
        let mut chars = text.chars();
        if chars.next().is_none() {
            return false;
        }
        text = chars.as_str();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_choose_the_headers_that_graphs_see() {
        let headers = ConfigurableHeaders {
            includes: vec!["X-Inc-*".to_owned(), "*-id".to_owned()],
            excludes: vec!["x-*-no".to_owned()],
        };
        for (name, copied) in [
            ("x-inc-a", true),
            ("x-inc-no", false),
            ("x-other", false),
            ("user-id", true),
            ("x-tenant-id", false),
            ("authorization", false),
            ("baggage", true),
        ] {
            assert_eq!(headers.copies(name), copied, "{name}");
        }
    }

    #[test]
    fn logged_headers_are_chosen_and_never_credentials() {
        let all = LoggingHeaders { includes: vec!["*".to_owned()], excludes: vec!["x-secret-*".to_owned()] };
        let names = ["x-team", "x-secret-a", "authorization", "cookie", "x-api-key", "user-agent"];
        let headers =
            names.iter().map(|name| (http::HeaderName::from_static(name), http::HeaderValue::from_static("v")));
        let headers: http::HeaderMap = headers.collect();
        assert_eq!(all.chosen(&headers).unwrap(), r#"{"x-team":"v","user-agent":"v"}"#);
        assert_eq!(LoggingHeaders::default().chosen(&headers), None);
    }
}
