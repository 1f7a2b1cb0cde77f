//! The server that an embedder builds.

use std::sync::Arc;

use langopen_core::auth::{Auth, OpenAuth};
use langopen_core::{Backend, Clock, Embedder, Executor, IdSource, Result, SystemIds, Tenant, UserInterfaces};

use crate::agent::app::AppState;
use crate::agent::assistants::sync_system_assistants;
use crate::agent::metrics::Metrics;
use crate::doors::custom::{AppOptions, CustomApp};
use crate::http::extract::BodyBudget;
use crate::settings::Settings;

/// Serves the Agent Server API: assistants, threads, runs, crons and the store.
pub struct AgentServer {
    app: AppState,
    custom: Option<(Arc<dyn CustomApp>, AppOptions)>,
}

impl AgentServer {
    /// A server that lets every caller do everything in the default tenant. It reads the backend's clock.
    pub fn new(backend: Backend, executor: Arc<dyn Executor>) -> Self {
        let runs = backend.runs();
        let Backend { storage, queue, events, clock, .. } = backend;
        let app = AppState {
            runs,
            storage,
            queue,
            events,
            executor,
            embedder: None,
            interfaces: None,
            auth: Arc::new(OpenAuth::default()),
            clock,
            ids: Arc::new(SystemIds),
            settings: Settings::default(),
            bodies: BodyBudget::default(),
            metrics: Metrics::default(),
        };
        Self { app, custom: None }
    }

    /// Authenticates and authorizes callers with `auth`.
    #[must_use]
    pub fn with_auth(mut self, auth: Arc<dyn Auth>) -> Self {
        self.app.auth = auth;
        self
    }

    /// Ranks store searches that have a `query` by meaning, with the vectors of `embedder`.
    #[must_use]
    pub fn with_embedder(mut self, embedder: Arc<dyn Embedder>) -> Self {
        self.app.embedder = Some(embedder);
        self
    }

    /// Serves the components of `interfaces` to the pages that show them.
    #[must_use]
    pub fn with_user_interfaces(mut self, interfaces: Arc<dyn UserInterfaces>) -> Self {
        self.app.interfaces = Some(interfaces);
        self
    }

    /// Reads the time from `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.app.clock = clock;
        self
    }

    /// Takes new ids from `ids`.
    #[must_use]
    pub fn with_ids(mut self, ids: Arc<dyn IdSource>) -> Self {
        self.app.ids = ids;
        self
    }

    /// Replaces the settings.
    #[must_use]
    pub fn with_settings(mut self, settings: Settings) -> Self {
        self.app.settings = settings;
        self
    }

    /// Counts the bytes of request bodies against `budget`. Give all servers of one process the same budget. Without
    /// this call, the server has a budget of 1 GiB of its own.
    #[must_use]
    pub fn with_body_budget(mut self, budget: BodyBudget) -> Self {
        self.app.bodies = budget;
        self
    }

    /// Adds these metrics to `/metrics`, beside the queue's figures.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.app.metrics = metrics;
        self
    }

    /// Serves `app` beside the API. Its routes take precedence over the API's, and its middleware sees every request.
    #[must_use]
    pub fn with_app(mut self, app: Arc<dyn CustomApp>, options: AppOptions) -> Self {
        self.custom = Some((app, options));
        self
    }

    /// Ensures that every graph of the executor has its system assistant in `tenant`. Call it when the server starts.
    ///
    /// The assistant gets the graph's config ([`GraphInfo::config`]), if the application has one for the graph.
    ///
    /// [`GraphInfo::config`]: langopen_core::executor::GraphInfo::config
    ///
    /// # Errors
    /// The executor's failure to list its graphs, or a failure of the storage.
    pub async fn sync_system_assistants(&self, tenant: &Tenant) -> Result<()> {
        sync_system_assistants(&self.app, tenant).await
    }

    /// The API as a router. Serve it, or merge it into another router.
    pub fn router(self) -> axum::Router {
        crate::router::build(Arc::new(self.app), self.custom)
    }
}
