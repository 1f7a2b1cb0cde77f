//! The server that an embedder builds.

use std::sync::Arc;

use langopen_core::auth::{Auth, OpenAuth};
use langopen_core::executor::{ExecutionContext, GraphInfo};
use langopen_core::model::{AssistantPatch, NewAssistant};
use langopen_core::run_service::RunService;
use langopen_core::{
    AssistantId, Backend, Clock, Embedder, EventLog, Executor, IdSource, JsonMap, Queue, Result, Scope, Storage,
    SystemIds, Tenant, UserInterfaces,
};

use crate::doors::a2a::KnownFields;
use crate::doors::custom::{AppOptions, CustomApp};
use crate::http::batches::SharedData;
use crate::http::extract::BodyBudget;
use crate::http::observe::Metrics;
use crate::settings::Settings;

/// The state that every handler receives.
pub(crate) type App = Arc<AgentServer>;

/// Serves the Agent Server API: assistants, threads, runs, crons and the store.
pub struct AgentServer {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) runs: RunService,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) events: Arc<dyn EventLog>,
    pub(crate) executor: Arc<dyn Executor>,
    /// Embeds texts for searches of the store. Without an embedder, search results are in order of time.
    pub(crate) embedder: Option<Arc<dyn Embedder>>,
    /// Components for the pages of clients, if the application has any.
    pub(crate) interfaces: Option<Arc<dyn UserInterfaces>>,
    pub(crate) auth: Arc<dyn Auth>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) settings: Settings,
    pub(crate) bodies: BodyBudget,
    /// Event data that several readers share.
    pub(crate) shared: Arc<SharedData>,
    pub(crate) custom: Option<(Arc<dyn CustomApp>, AppOptions)>,
    pub(crate) metrics: Metrics,
    pub(crate) known_fields: KnownFields,
}

impl AgentServer {
    /// A server that lets every caller do everything in the default tenant. It reads the backend's clock.
    pub fn new(backend: Backend, executor: Arc<dyn Executor>) -> Self {
        let runs = backend.runs();
        let Backend { storage, queue, events, clock, .. } = backend;
        Self {
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
            shared: Arc::default(),
            custom: None,
            metrics: Metrics::default(),
            known_fields: KnownFields::default(),
        }
    }

    /// Authenticates and authorizes callers with `auth`.
    #[must_use]
    pub fn with_auth(mut self, auth: Arc<dyn Auth>) -> Self {
        self.auth = auth;
        self
    }

    /// Ranks store searches that have a `query` by meaning, with the vectors of `embedder`.
    #[must_use]
    pub fn with_embedder(mut self, embedder: Arc<dyn Embedder>) -> Self {
        self.embedder = Some(embedder);
        self
    }

    /// Serves the components of `interfaces` to the pages that show them.
    #[must_use]
    pub fn with_user_interfaces(mut self, interfaces: Arc<dyn UserInterfaces>) -> Self {
        self.interfaces = Some(interfaces);
        self
    }

    /// Reads the time from `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Takes new ids from `ids`.
    #[must_use]
    pub fn with_ids(mut self, ids: Arc<dyn IdSource>) -> Self {
        self.ids = ids;
        self
    }

    /// Replaces the settings.
    #[must_use]
    pub fn with_settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Counts the bytes of request bodies against `budget`. Give all servers of one process the same budget. Without
    /// this call, the server has a budget of 1 GiB of its own.
    #[must_use]
    pub fn with_body_budget(mut self, budget: BodyBudget) -> Self {
        self.bodies = budget;
        self
    }

    /// Adds these metrics to `/metrics`, beside the queue's figures.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
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
    /// # Errors
    /// The executor's failure to list its graphs, or a failure of the storage.
    pub async fn sync_system_assistants(&self, tenant: &Tenant) -> Result<()> {
        for graph in self.executor.graphs().await? {
            self.sync_system_assistant(tenant, graph).await?;
        }
        Ok(())
    }

    /// Recreates the system assistant with this id if a graph has it. Any other id has no effect.
    pub(crate) async fn restore_system_assistant(&self, tenant: &Tenant, id: AssistantId) -> Result<()> {
        let graphs = self.executor.graphs().await?;
        match graphs.into_iter().find(|graph| AssistantId::system(&graph.graph_id) == id) {
            Some(graph) => self.sync_system_assistant(tenant, graph).await,
            None => Ok(()),
        }
    }

    async fn sync_system_assistant(&self, tenant: &Tenant, graph: GraphInfo) -> Result<()> {
        let scope = Scope::tenant(tenant.clone());
        let GraphInfo { graph_id, name, description, config } = graph;
        let config = config.unwrap_or_default();
        // The `configurable` of a stored config is also the assistant's context, as for every assistant.
        let context = config.get("configurable").and_then(|given| given.as_object()).cloned().unwrap_or_default();
        let mut metadata = JsonMap::new();
        metadata.insert("created_by".to_owned(), "system".into());
        let new = NewAssistant {
            assistant_id: AssistantId::system(&graph_id),
            graph_id,
            config,
            context,
            metadata,
            name,
            description,
        };
        let wanted = new.clone();
        let synced = self.storage.sync_system_assistant(&scope, new).await?;
        // If the application's config has changed, the assistant gets a new version. If the application has none, the
        // config that a client set stays.
        if !wanted.config.is_empty() && synced.config != wanted.config {
            let patch = AssistantPatch {
                config: Some(wanted.config),
                context: Some(wanted.context),
                ..AssistantPatch::default()
            };
            self.storage.update_assistant(&scope, wanted.assistant_id, patch).await?;
        }
        Ok(())
    }

    /// The API as a router. Serve it, or merge it into another router.
    pub fn router(self) -> axum::Router {
        crate::router::build(Arc::new(self))
    }

    /// The checkpoints and items that the executor may use while it works for a caller with this scope.
    pub(crate) fn execution_context(&self, scope: &Scope) -> ExecutionContext {
        ExecutionContext::new(self.storage.clone(), self.storage.clone(), scope.clone())
    }
}
