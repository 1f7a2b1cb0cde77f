//! Builds the API of one deployment.

use std::net::IpAddr;
use std::sync::Arc;

use langopen_api::{AgentServer, BodyBudget, Metrics};
use langopen_core::auth::KeyRing;
use langopen_core::{Executor, Tenant};
use langopen_runner::HostPool;
use langopen_runner::config::AppSettings;

use super::auth::KeysNeeded;
use super::web_app::PoolApp;
use super::{api_settings, app_options, auth};
use crate::database::Database;
use crate::error::CommandError;

/// The logins besides the application's own.
#[derive(Clone)]
pub(crate) struct Login {
    /// API keys.
    pub(crate) keys: Arc<KeyRing>,
    /// When callers need an API key, in an application without a login.
    pub(crate) needed: KeysNeeded,
    /// The address that the server listens on.
    pub(crate) address: IpAddr,
}

/// The parts of one deployment's API.
pub(crate) struct ServerParts<'a> {
    pub(crate) database: &'a Database,
    /// The deployment's graph hosts, in this process or on runners.
    pub(crate) pool: Arc<HostPool>,
    pub(crate) app: &'a AppSettings,
    /// The deployment.
    pub(crate) tenant: &'a Tenant,
    pub(crate) login: Login,
    pub(crate) metrics: Metrics,
    /// The budget of request bodies in flight, over all deployments of this process.
    pub(crate) bodies: BodyBudget,
    /// Whether workers fire crons.
    pub(crate) crons: bool,
}

/// Builds the API of one deployment, with a system assistant for each graph.
pub(crate) async fn build(parts: ServerParts<'_>) -> Result<AgentServer, CommandError> {
    let ServerParts { database, pool, app, tenant, login, metrics, bodies, crons } = parts;
    let mut settings = api_settings(app)?;
    settings.crons = crons;
    if let Some(version) = pool.langgraph_version() {
        settings.langgraph_version = version;
    }
    // Browsers let every page reach a loopback address. If the application has a login, the login decides.
    settings.refuse_foreign_pages = login.address.is_loopback() && auth::is_open(&pool);
    let login = auth::login(login, app.auth.as_ref(), &pool).await?;
    let executor = Arc::clone(&pool) as Arc<dyn Executor>;
    let mut server = AgentServer::new(database.backend(), executor)
        .with_auth(login)
        .with_settings(settings)
        .with_body_budget(bodies)
        .with_metrics(metrics);
    if let Some(custom) = PoolApp::of(&pool) {
        server = server.with_app(Arc::new(custom), app_options(app));
    }
    if app.store.as_ref().is_some_and(|store| store.index.is_some()) {
        server = server.with_embedder(pool.clone());
    }
    if pool.has_ui() {
        server = server.with_user_interfaces(pool.clone());
    }
    server.sync_system_assistants(tenant).await?;
    Ok(server)
}
