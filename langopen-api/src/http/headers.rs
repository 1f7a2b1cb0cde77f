//! Selects request headers by patterns over their names.

use http::{HeaderMap, HeaderValue};
use langopen_core::JsonMap;
use serde_json::Value;
use wildmatch::WildMatch;

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
    pub(crate) fn chosen(&self, headers: &HeaderMap) -> Option<String> {
        if self.includes.is_empty() {
            return None;
        }
        let shown = headers.iter().filter(|(name, _)| self.shows(name.as_str()));
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned().into();
        let shown: JsonMap = shown.map(|(name, value)| (name.to_string(), text(value))).collect();
        (!shown.is_empty()).then(|| Value::Object(shown).to_string())
    }
}

/// Whether one of the patterns matches `name`.
fn listed(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| WildMatch::new_case_insensitive(pattern).matches(name))
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
