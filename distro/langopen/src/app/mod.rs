//! Turns an application's settings into the settings of the API and the worker, for local hosts and for runners.

mod auth;
mod http;
mod retention;
mod server;
mod web_app;
mod webhooks;

use langopen_api::{AppOptions, HostInfo, Settings};
use langopen_runner::config::{AppSettings, MiddlewareOrder};

use crate::error::CommandError;

pub(crate) use auth::{KeysNeeded, announce};
pub(crate) use http::mount_prefix;
pub(crate) use retention::{sweeps, thread_ttl};
pub(crate) use server::{Login, ServerParts, build};
pub(crate) use web_app::FromWithin;
pub(crate) use webhooks::{own_url, settings as webhook_settings};

/// The API's settings.
pub(crate) fn api_settings(app: &AppSettings) -> Result<Settings, CommandError> {
    let mut settings = Settings::default().with_host(host_info());
    http::apply(&mut settings, app)?;
    settings.security = auth::document(app.auth.as_ref());
    if let Some(ttl) = app.store.as_ref().and_then(|store| store.ttl.as_ref()) {
        settings.store_default_ttl_minutes = ttl.default_ttl;
        settings.store_refresh_on_read = ttl.refresh_on_read.unwrap_or(true);
    }
    settings.thread_ttl = retention::thread_ttl(app)?;
    settings.webhooks = Some(webhooks::policy(app));
    Ok(settings)
}

fn app_options(app: &AppSettings) -> AppOptions {
    AppOptions::default()
        .with_auth_first(app.http.middleware_order == Some(MiddlewareOrder::AuthFirst))
        .with_authenticate_routes(app.http.enable_custom_route_auth)
}

/// The server's host, from the variables of LangGraph's own servers.
fn host_info() -> HostInfo {
    let given = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    HostInfo {
        project_id: given("LANGSMITH_HOST_PROJECT_ID"),
        host_revision_id: given("LANGSMITH_HOST_REVISION_ID"),
        revision_id: given("LANGCHAIN_REVISION_ID"),
        tenant_id: given("LANGSMITH_TENANT_ID"),
        ..HostInfo::default()
    }
}
