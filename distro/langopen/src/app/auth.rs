//! Who may do what: the bearers of API keys, the users of the application's own `Auth` object, both, or everybody
//! everything.

use std::sync::Arc;
use std::time::Duration;

use langopen_api::SecurityDocument;
use langopen_core::auth::{ApiKeyAuth, Auth, OpenAuth, StudioAuth};
use langopen_runner::config::AuthConfig;
use langopen_runner::{AppAuth, AuthCacheSettings, HostPool};

use super::Login;
use crate::announce::say;
use crate::error::CommandError;

/// How long the application's answers are kept, and how many, unless `auth.cache` says otherwise.
const CACHE_TTL: Duration = Duration::from_secs(60);
const CACHE_SIZE: u64 = 1000;

/// Who needs an API key, where the application has no login of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeysNeeded {
    /// Everybody.
    Always,
    /// Everybody, from when there is the first one.
    FromFirst,
    /// Nobody.
    Never,
}

/// Whether the application leaves it to API keys who gets in.
pub(super) fn is_open(pool: &Arc<HostPool>) -> bool {
    AppAuth::of(pool).is_none()
}

/// Puts the logins together that there are.
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
    // A developer's tool on the developer's own machine, and nowhere else.
    let studio = needed != KeysNeeded::Always && !config.disable_studio_auth && address.is_loopback();
    Ok(match studio {
        true => Arc::new(StudioAuth::new(Arc::new(auth)).until_first_key(keys)),
        false => Arc::new(auth),
    })
}

/// Says who may do what with the application.
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
                say("note", &format!("no auth handler covers these, so any user may do them to everything: {open}"));
            }
        }
        None if !has_keys && login.needed != KeysNeeded::Always && !login.address.is_loopback() => {
            let note = "can do everything here: there is neither auth.path nor an API key";
            say("note", &format!("whoever reaches {} {note}", login.address));
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

/// What `auth.openapi` adds to the served document.
pub(super) fn document(config: Option<&AuthConfig>) -> SecurityDocument {
    let Some(openapi) = config.and_then(|config| config.openapi.clone()) else { return SecurityDocument::default() };
    SecurityDocument { schemes: openapi.security_schemes, security: openapi.security, paths: openapi.paths }
}
