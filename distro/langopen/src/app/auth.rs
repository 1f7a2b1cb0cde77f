//! Who may do what: the bearers of API keys, the users of the application's own `Auth` object, both, or everybody everything.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use langopen_api::SecurityDocument;
use langopen_core::Tenant;
use langopen_core::auth::{ApiKeyAuth, ApiKeyRecord, Auth, OpenAuth, StudioAuth};
use langopen_runner::config::AuthConfig;
use langopen_runner::{AppAuth, AuthCacheSettings, HostPool};

use super::Login;
use crate::announce::say;
use crate::error::CommandError;
use crate::keys;

/// How long the application's answers are kept, and how many, unless `auth.cache` says otherwise.
const CACHE_TTL: Duration = Duration::from_secs(60);
const CACHE_SIZE: u64 = 1000;

/// The API keys that the command line names, if it names any.
pub(crate) fn keys(file: Option<&Path>) -> Result<Option<Vec<ApiKeyRecord>>, CommandError> {
    file.map(keys::read).transpose()
}

/// The tenants that callers may act in.
pub(crate) fn tenants(keys: Option<&Vec<ApiKeyRecord>>) -> Result<Vec<Tenant>, CommandError> {
    let mut tenants = vec![Tenant::default()];
    for record in keys.into_iter().flatten() {
        let tenant = record.tenant()?;
        if !tenants.contains(&tenant) {
            tenants.push(tenant);
        }
    }
    Ok(tenants)
}

/// Puts the logins together that were asked for.
pub(super) fn login(
    given: Login,
    config: Option<&AuthConfig>,
    pool: &Arc<HostPool>,
) -> Result<Arc<dyn Auth>, CommandError> {
    let Login { keys, required, address } = given;
    let config = config.cloned().unwrap_or_default();
    let app = AppAuth::of(pool).map(|app| with_cache(app, &config));
    if let Some(app) = &app {
        if !app.authenticates() && keys.is_none() {
            return Err(CommandError::NoAuthenticateHandler);
        }
        announce(app);
    }
    let (has_app, has_keys) = (app.is_some(), keys.is_some());
    let app = app.map(|app| Arc::new(app) as Arc<dyn Auth>);
    let app = if required { app } else { app.or_else(|| Some(Arc::new(OpenAuth::default()))) };
    let auth: Arc<dyn Auth> = match (keys, app) {
        (None, None) => Arc::new(OpenAuth::default()),
        (None, Some(app)) => app,
        (Some(keys), None) => Arc::new(ApiKeyAuth::of(keys)),
        (Some(keys), Some(app)) => Arc::new(ApiKeyAuth::of(keys).with_fallback(app)),
    };
    if !has_app && !required && !address.is_loopback() {
        say(
            "note",
            &format!("whoever reaches {address} can do everything here: there is neither auth.path nor --api-keys"),
        );
    }
    // A developer's tool on the developer's own machine, and nowhere else; whoever hands out keys is past that.
    let studio = has_app && !has_keys && !config.disable_studio_auth && address.is_loopback();
    Ok(if studio { Arc::new(StudioAuth::new(auth)) } else { auth })
}

fn with_cache(app: AppAuth, config: &AuthConfig) -> AppAuth {
    let Some(cache) = &config.cache else { return app };
    app.with_cache(AuthCacheSettings {
        keys: cache.cache_keys.clone(),
        ttl: cache.ttl_seconds.map_or(CACHE_TTL, Duration::from_secs),
        max_size: cache.max_size.unwrap_or(CACHE_SIZE),
    })
}

fn announce(app: &AppAuth) {
    say("auth", "the application's own");
    let open = app.uncovered();
    if !open.is_empty() {
        say(
            "note",
            &format!("no auth handler covers these, so any user may do them to everything: {}", open.join(", ")),
        );
    }
}

/// What `auth.openapi` adds to the served document.
pub(super) fn document(config: Option<&AuthConfig>) -> SecurityDocument {
    let Some(openapi) = config.and_then(|config| config.openapi.clone()) else { return SecurityDocument::default() };
    SecurityDocument { schemes: openapi.security_schemes, security: openapi.security, paths: openapi.paths }
}
