//! Combines API keys with the application's own `Auth` object.

use std::sync::Arc;
use std::time::Duration;

use langopen_api::{SecurityDocument, StudioAuth};
use langopen_core::auth::{ApiKeyAuth, Auth, OpenAuth};
use langopen_runner::config::AuthConfig;
use langopen_runner::{AppAuth, AuthCacheSettings, HostPool};

use super::Login;
use crate::announce::say;
use crate::error::CommandError;

/// The defaults of `auth.cache`: how long the API caches the application's answers, and how many.
const CACHE_TTL: Duration = Duration::from_secs(60);
const CACHE_SIZE: u64 = 1000;

/// When callers need an API key, in an application without `auth.path`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeysNeeded {
    /// Always.
    Always,
    /// Once the first API key exists.
    FromFirst,
    /// Never.
    Never,
}

/// Whether API keys alone decide whether a caller is admitted.
pub(super) fn is_open(pool: &Arc<HostPool>) -> bool {
    AppAuth::of(pool).is_none()
}

/// Combines the application's login with API keys.
pub(super) async fn login(
    given: Login,
    config: Option<&AuthConfig>,
    pool: &Arc<HostPool>,
) -> Result<Arc<dyn Auth>, CommandError> {
    let Login { keys, needed, address } = given;
    let config = config.cloned().unwrap_or_default();
    let auth = ApiKeyAuth::of(Arc::clone(&keys));
    let Some(app) = AppAuth::of(pool) else {
        let open = Arc::new(OpenAuth::default());
        return Ok(Arc::new(match needed {
            KeysNeeded::Always => auth,
            KeysNeeded::FromFirst => auth.until_first_key(open),
            KeysNeeded::Never => auth.with_fallback(open),
        }));
    };
    if !app.authenticates() && needed != KeysNeeded::Always && !keys.has_any().await? {
        return Err(CommandError::NoAuthenticateHandler);
    }
    let auth = auth.with_fallback(Arc::new(with_cache(app, &config)));
    // Studio skips the login only on the developer's own machine.
    let studio = needed != KeysNeeded::Always && !config.disable_studio_auth && address.is_loopback();
    Ok(match studio {
        true => Arc::new(StudioAuth::new(Arc::new(auth)).until_first_key(keys)),
        false => Arc::new(auth),
    })
}

/// Prints which logins are active.
pub(crate) async fn announce(login: &Login, pool: &Arc<HostPool>) -> Result<(), CommandError> {
    let has_keys = login.keys.has_any().await?;
    if has_keys || login.needed == KeysNeeded::Always {
        say("auth", "API keys");
    }
    match AppAuth::of(pool) {
        Some(app) => {
            say("auth", "the application's own");
            let open = app.uncovered();
            if !open.is_empty() {
                let open = open.join(", ");
                say(
                    "note",
                    &format!(
                        "no auth handler covers these operations, so any user may perform them on all data: {open}"
                    ),
                );
            }
        }
        None if !has_keys && login.needed != KeysNeeded::Always && !login.address.is_loopback() => {
            let note = "has full access: the application has no auth.path, and no API key exists";
            say("note", &format!("anyone who reaches {} {note}", login.address));
        }
        None => {}
    }
    Ok(())
}

fn with_cache(app: AppAuth, config: &AuthConfig) -> AppAuth {
    let Some(cache) = &config.cache else { return app };
    app.with_cache(AuthCacheSettings {
        keys: cache.cache_keys.clone(),
        ttl: cache.ttl_seconds.map_or(CACHE_TTL, Duration::from_secs),
        max_size: cache.max_size.unwrap_or(CACHE_SIZE),
    })
}

/// The entries that `auth.openapi` adds to the served OpenAPI document.
pub(super) fn document(config: Option<&AuthConfig>) -> SecurityDocument {
    let Some(openapi) = config.and_then(|config| config.openapi.clone()) else { return SecurityDocument::default() };
    SecurityDocument { schemes: openapi.security_schemes, security: openapi.security, paths: openapi.paths }
}
