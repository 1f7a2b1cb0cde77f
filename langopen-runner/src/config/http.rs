//! The key `http`: the served routes and their settings.

use serde::{Deserialize, Serialize};

use super::section::Section;
use super::target::Target;

/// Whether the user's middleware runs before or after authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum MiddlewareOrder {
    /// Middleware runs after authentication.
    AuthFirst,
    /// Middleware runs before authentication.
    #[default]
    MiddlewareFirst,
}

/// Header names by pattern. `*` matches any text. An exclusion overrides an inclusion.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HeaderPatterns {
    /// Absent: the feature's default.
    pub includes: Option<Vec<String>>,
    /// Absent: the feature's default.
    pub excludes: Option<Vec<String>>,
}

/// Cross-origin rules. For an absent field, the server's default applies.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CorsConfig {
    /// Origins, or `*`.
    pub allow_origins: Option<Vec<String>>,
    /// HTTP methods.
    pub allow_methods: Option<Vec<String>>,
    /// Request headers.
    pub allow_headers: Option<Vec<String>>,
    /// Whether browsers may send cookies.
    pub allow_credentials: Option<bool>,
    /// A pattern that a whole origin must match.
    pub allow_origin_regex: Option<String>,
    /// Response headers that pages may read.
    pub expose_headers: Option<Vec<String>>,
    /// How many seconds browsers cache a preflight response.
    pub max_age: Option<u64>,
}

/// The served routes and their settings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HttpConfig {
    /// A web application of the user, served beside the platform's API.
    pub app: Option<Target>,
    /// Disables `/assistants`.
    pub disable_assistants: bool,
    /// Disables `/threads`.
    pub disable_threads: bool,
    /// Disables `/runs`.
    pub disable_runs: bool,
    /// Disables `/store`.
    pub disable_store: bool,
    /// Disables `/mcp`.
    pub disable_mcp: bool,
    /// Disables `/a2a`.
    pub disable_a2a: bool,
    /// Disables `/info`, `/metrics`, `/docs` and `/openapi.json`.
    pub disable_meta: bool,
    /// Disables `/ui`.
    pub disable_ui: bool,
    /// Disables webhooks.
    pub disable_webhooks: bool,
    /// Disables the event streaming protocol.
    pub disable_event_streaming: bool,
    /// Cross-origin rules.
    pub cors: Option<CorsConfig>,
    /// The request headers that graphs can read.
    pub configurable_headers: Option<HeaderPatterns>,
    /// The request headers that appear in logs.
    pub logging_headers: Option<HeaderPatterns>,
    /// The order of middleware and authentication.
    pub middleware_order: Option<MiddlewareOrder>,
    /// Whether the routes of `app` need the login too.
    pub enable_custom_route_auth: bool,
    /// The path prefix of all routes. It starts with a slash and does not end with one.
    pub mount_prefix: Option<String>,
}

pub(super) fn read(section: &Section<'_>) -> HttpConfig {
    let flag = |key| section.flag(key).unwrap_or_default();
    let orders = [("auth_first", MiddlewareOrder::AuthFirst), ("middleware_first", MiddlewareOrder::MiddlewareFirst)];
    HttpConfig {
        app: section.target("app"),
        disable_assistants: flag("disable_assistants"),
        disable_threads: flag("disable_threads"),
        disable_runs: flag("disable_runs"),
        disable_store: flag("disable_store"),
        disable_mcp: flag("disable_mcp"),
        disable_a2a: flag("disable_a2a"),
        disable_meta: flag("disable_meta"),
        disable_ui: flag("disable_ui"),
        disable_webhooks: flag("disable_webhooks"),
        disable_event_streaming: flag("disable_event_streaming"),
        cors: section.section("cors", cors),
        configurable_headers: section.section("configurable_headers", headers),
        logging_headers: section.section("logging_headers", headers),
        middleware_order: section.choice("middleware_order", &orders),
        enable_custom_route_auth: flag("enable_custom_route_auth"),
        mount_prefix: mount_prefix(section),
    }
}

fn cors(section: &Section<'_>) -> CorsConfig {
    CorsConfig {
        allow_origins: section.texts("allow_origins"),
        allow_methods: section.texts("allow_methods"),
        allow_headers: section.texts("allow_headers"),
        allow_credentials: section.flag("allow_credentials"),
        allow_origin_regex: section.text("allow_origin_regex"),
        expose_headers: section.texts("expose_headers"),
        max_age: section.whole("max_age", 0..=u64::MAX, "of seconds"),
    }
}

// Authors use both spellings.
fn headers(section: &Section<'_>) -> HeaderPatterns {
    let lower = |names: Option<Vec<String>>| {
        names.map(|names| names.iter().map(|name| name.to_lowercase()).collect::<Vec<_>>())
    };
    let (includes, include) = (section.texts("includes"), section.texts("include"));
    let (excludes, exclude) = (section.texts("excludes"), section.texts("exclude"));
    HeaderPatterns { includes: lower(includes.or(include)), excludes: lower(excludes.or(exclude)) }
}

fn mount_prefix(section: &Section<'_>) -> Option<String> {
    let text = section.text("mount_prefix")?;
    if !text.starts_with('/') {
        let message = format!("found {text:?}, expected a path that starts with a slash");
        section.context.report(section.key("mount_prefix"), message, format!("Write \"/{text}\"."));
        return None;
    }
    Some(text.trim_end_matches('/').to_owned()).filter(|prefix| !prefix.is_empty())
}
