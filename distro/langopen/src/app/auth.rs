//! Who may do what: the bearers of API keys, the users of the application's own `Auth` object, both, or everybody everything.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use langopen_api::SecurityDocument;
use langopen_core::auth::{ApiKeyAuth, ApiKeyRecord, Auth, KeyRing, OpenAuth, StudioAuth};
use langopen_core::{Storage, SystemClock, Tenant};
use langopen_runner::config::AuthConfig;
use langopen_runner::{AppAuth, AuthCacheSettings, HostPool};

use crate::announce::say;
use crate::error::CommandError;

/// How long the application's answers are kept, and how many, unless `auth.cache` says otherwise.
const CACHE_TTL: Duration = Duration::from_secs(60);
const CACHE_SIZE: u64 = 1000;

/// The API keys that callers may have.
pub(crate) struct Keys {
    pub(crate) ring: Arc<KeyRing>,
    /// The deployments that keys of the file are for.
    pub(crate) tenants: Vec<Tenant>,
}

/// The keys of the file that the command line names, if it names one, and of the database.
pub(crate) fn keys(records: Vec<ApiKeyRecord>, storage: Arc<dyn Storage>) -> Result<Keys, CommandError> {
    let tenants = records.iter().map(ApiKeyRecord::tenant).collect::<Result<_, _>>()?;
    let ring = KeyRing::new(records).with_stored(storage, Arc::new(SystemClock));
    Ok(Keys { ring: Arc::new(ring), tenants })
}

/// Puts the logins together that there are.
pub(super) async fn login(
    keys: Arc<KeyRing>,
    config: Option<&AuthConfig>,
    pool: &Arc<HostPool>,
    address: IpAddr,
    tenant: &Tenant,
) -> Result<Arc<dyn Auth>, CommandError> {
    let config = config.cloned().unwrap_or_default();
    let has_keys = keys.has_any().await?;
    let auth = ApiKeyAuth::of(Arc::clone(&keys));
    let Some(app) = AppAuth::of(pool) else {
        return Ok(Arc::new(auth.until_first_key(Arc::new(OpenAuth { tenant: tenant.clone() }))));
    };
    if !app.authenticates() && !has_keys {
        return Err(CommandError::NoAuthenticateHandler);
    }
    let auth = auth.with_fallback(Arc::new(with_cache(app.with_tenant(tenant.clone()), &config)));
    // A developer's tool on the developer's own machine, and nowhere else.
    let studio = !config.disable_studio_auth && address.is_loopback();
    Ok(match studio {
        true => Arc::new(StudioAuth::new(Arc::new(auth)).until_first_key(keys)),
        false => Arc::new(auth),
    })
}

/// Says who may do what.
pub(crate) async fn announce(keys: &KeyRing, pool: &Arc<HostPool>, address: IpAddr) -> Result<(), CommandError> {
    let has_keys = keys.has_any().await?;
    if has_keys {
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
        None if !has_keys && !address.is_loopback() => {
            let note = "can do everything here: there is neither auth.path nor an API key";
            say("note", &format!("whoever reaches {address} {note}"));
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
