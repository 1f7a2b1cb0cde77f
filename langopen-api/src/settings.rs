//! What an embedder can set.

use std::sync::Arc;
use std::time::Duration;

use langopen_core::JsonMap;
use langopen_core::webhook::UrlPolicy;
use serde_json::Value;

use langopen_core::model::ThreadTtl;

use crate::http::cors::Cors;

/// How a server presents itself and what it serves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `version` of `/info`: the Agent Server version whose dialect is spoken.
    pub version: String,
    /// `langgraph_py_version` of `/info`.
    pub langgraph_version: String,
    /// `host` of `/info`.
    pub host: HostInfo,
    /// The largest request body, in bytes; more is 413.
    pub max_body_bytes: usize,
    /// The largest body of a search, a filter, a subscription, or another request that holds conditions, ids and names
    /// alone, in bytes; more is 413. The subscriptions of one WebSocket have so many bytes together.
    pub max_search_body_bytes: usize,
    /// The largest message of a WebSocket, in bytes; more closes it. So many bytes of commands may wait on one
    /// WebSocket.
    pub max_message_bytes: usize,
    /// How long a request body may be silent before it is given up (408).
    pub body_timeout: Duration,
    /// How long a stream or a waiting response may be silent before a sign of life is sent and the run's row is looked
    /// at.
    pub heartbeat: Duration,
    /// Which browsers' pages may call (CORS); `None` leaves the matter to whoever serves the router.
    pub cors: Option<Cors>,
    /// Whether web pages are refused (403) that are neither of this machine nor named in `cors`, and requests by a host
    /// name that is not this machine's, while a request without credentials gets in. Pages of other origins must then
    /// send `application/json` (415). Set it for a server on a loopback address: browsers let every page reach that.
    pub refuse_foreign_pages: bool,
    /// Which request headers graphs see in `configurable`.
    pub configurable_headers: ConfigurableHeaders,
    /// Which request headers the access log shows.
    pub logging_headers: LoggingHeaders,
    /// A path under which the API is served, e.g. `/agents`. `/`, `/ok` and `/metrics` are then served at the root too.
    pub mount_prefix: Option<String>,
    /// Whether a scheduler fires crons; `flags.crons` of `/info`.
    pub crons: bool,
    /// Which groups of operations are served.
    pub features: Features,
    /// Where webhooks may go; `None` refuses runs that name one. Set it only where a worker delivers them.
    pub webhooks: Option<UrlPolicy>,
    /// How clients log in, for the served OpenAPI document.
    pub security: SecurityDocument,
    /// How long threads live that are created without a word about it, by a run too; `None` for ever.
    pub thread_ttl: Option<ThreadTtl>,
    /// Minutes after which store items expire, unless the item says otherwise; `None` for never.
    pub store_default_ttl_minutes: Option<f64>,
    /// The id of the assistant whose agent card is shown at the root where a request names none.
    pub default_a2a_assistant: Option<String>,
    /// The tools whose results A2A clients see; `None` for all.
    pub a2a_tool_results: Option<Arc<[String]>>,
    /// Whether reading a store item puts its expiry off, unless the request says otherwise.
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

/// Parts of an OpenAPI document that say how clients log in; they are merged into the served one, over what it has.
#[derive(Debug, Clone, Default)]
pub struct SecurityDocument {
    /// `components.securitySchemes`, by name.
    pub schemes: JsonMap,
    /// `security`: what every operation needs. Nothing is said when it is empty.
    pub security: Vec<Value>,
    /// By path, then by method: e.g. the `security` of single operations.
    pub paths: JsonMap,
}

/// Where the server runs, as `/info` tells.
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

/// Which groups of operations are served; a group that is off answers 404.
#[derive(Debug, Clone, Copy)]
pub struct Features {
    /// `/assistants`.
    pub assistants: bool,
    /// `/threads`, without its runs.
    pub threads: bool,
    /// `/runs` and `/threads/{thread_id}/runs`, crons among them.
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
    /// `/info`, `/metrics`, `/docs`, `/openapi.json`. `/ok` stays.
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

/// Which request headers are copied into a run's `configurable`: patterns over lower-case names, in which `*` stands
/// for any text.
///
/// Credentials (`authorization`, `x-api-key`, `x-service-key`, `x-tenant-id`) are never copied; `langsmith-trace` and
/// `baggage` always are.
#[derive(Debug, Clone, Default)]
pub struct ConfigurableHeaders {
    /// Headers to copy.
    pub includes: Vec<String>,
    /// Headers not to copy; wins.
    pub excludes: Vec<String>,
}

impl ConfigurableHeaders {
    /// Whether the header of this lower-case name is copied.
    pub fn copies(&self, name: &str) -> bool {
        const NEVER: [&str; 4] = ["authorization", "x-api-key", "x-service-key", "x-tenant-id"];
        const ALWAYS: [&str; 2] = ["langsmith-trace", "baggage"];
        let listed = |patterns: &[String]| listed(patterns, name);
        !NEVER.contains(&name) && (ALWAYS.contains(&name) || listed(&self.includes) && !listed(&self.excludes))
    }
}

/// Which request headers the access log shows: patterns over lower-case names, in which `*` stands for any text. None,
/// unless some are included.
///
/// Credentials (`authorization`, `proxy-authorization`, `cookie`, `x-api-key`, `x-service-key`, `x-tenant-id`) are
/// never shown.
#[derive(Debug, Clone, Default)]
pub struct LoggingHeaders {
    /// Headers to show.
    pub includes: Vec<String>,
    /// Headers not to show; wins.
    pub excludes: Vec<String>,
}

impl LoggingHeaders {
    /// Whether the header of this lower-case name is shown.
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

/// Whether one of the patterns is `name`.
fn listed(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|each| glob(&each.to_ascii_lowercase(), name))
}

/// Whether `text` is `pattern`, in which `*` stands for any text.
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
