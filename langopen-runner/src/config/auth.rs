//! The keys `auth`, `encryption` and `priority`: the user's own hooks.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::section::Section;
use super::target::Target;

/// The application's login.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AuthConfig {
    /// The `Auth` object.
    pub path: Option<Target>,
    /// Whether requests from Studio need the login too.
    pub disable_studio_auth: bool,
    /// Whether a LangSmith API key is accepted instead of the login.
    pub allow_langsmith_api_keys: bool,
    /// Additions to the served OpenAPI document.
    pub openapi: Option<AuthOpenApi>,
    /// The cache of the login's answers.
    pub cache: Option<AuthCache>,
}

/// Parts of an OpenAPI document, as written.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AuthOpenApi {
    /// Security schemes by name.
    pub security_schemes: Map<String, Value>,
    /// Security requirements of all paths.
    pub security: Vec<Value>,
    /// Security requirements by path, then by method.
    pub paths: Map<String, Value>,
}

/// The cache of the authenticate handler's answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AuthCache {
    /// The headers that identify a user.
    pub cache_keys: Vec<String>,
    /// The lifetime of an entry, in seconds.
    pub ttl_seconds: Option<u64>,
    /// The most entries.
    pub max_size: Option<u64>,
}

/// A section whose one key names an object in the user's code (`encryption`, `priority`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HookConfig {
    /// The object.
    pub path: Option<Target>,
}

pub(super) fn read(section: &Section<'_>) -> AuthConfig {
    AuthConfig {
        path: section.target("path"),
        disable_studio_auth: section.flag("disable_studio_auth").unwrap_or_default(),
        allow_langsmith_api_keys: section.flag("allow_langsmith_api_keys").unwrap_or_default(),
        openapi: section.section("openapi", openapi),
        cache: section.section("cache", |cache| AuthCache {
            cache_keys: cache.texts("cache_keys").unwrap_or_default(),
            ttl_seconds: cache.whole("ttl_seconds", 0..=u64::MAX, "of seconds"),
            max_size: cache.whole("max_size", 0..=u64::MAX, "of entries"),
        }),
    }
}

pub(super) fn read_hook(section: &Section<'_>) -> HookConfig {
    HookConfig { path: section.target("path") }
}

fn openapi(section: &Section<'_>) -> AuthOpenApi {
    let security = section.get("security").and_then(|value| {
        if !value.is_array() {
            section.wrong("security", value, "a list of objects");
        }
        value.as_array().cloned()
    });
    AuthOpenApi {
        security_schemes: section.object("securitySchemes").cloned().unwrap_or_default(),
        security: security.unwrap_or_default(),
        paths: section.object("paths").cloned().unwrap_or_default(),
    }
}
