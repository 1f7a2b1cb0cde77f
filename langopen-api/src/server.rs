//! The server as an embedder sees it.

use std::sync::Arc;

use langopen_core::auth::{Auth, OpenAuth};
use langopen_core::executor::{ExecutionContext, GraphInfo};
use langopen_core::model::{AssistantPatch, NewAssistant};
use langopen_core::run_service::RunService;
use langopen_core::{
    AssistantId, Clock, Embedder, EventLog, Executor, IdSource, JsonMap, Queue, Result, Scope, Storage, SystemClock,
    SystemIds, Tenant, UserInterfaces,
};

use crate::doors::a2a::KnownFields;
use crate::doors::custom::{AppOptions, CustomApp};
use crate::http::batches::SharedData;
use crate::http::extract::BodyBudget;
use crate::http::observe::Metrics;
use crate::settings::Settings;

/// What every handler works with.
pub(crate) type App = Arc<AgentServer>;

/// The data plane: assistants, threads, runs and the store behind the Agent Server API.
pub struct AgentServer {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) runs: RunService,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) events: Arc<dyn EventLog>,
    pub(crate) executor: Arc<dyn Executor>,
    /// Makes vectors for searches of the store; without one they are answered in order of time.
    pub(crate) embedder: Option<Arc<dyn Embedder>>,
    /// Components that clients' pages show, if there are any.
    pub(crate) interfaces: Option<Arc<dyn UserInterfaces>>,
    pub(crate) auth: Arc<dyn Auth>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) settings: Settings,
    pub(crate) bodies: BodyBudget,
    /// Data of events that readers hold together.
    pub(crate) shared: Arc<SharedData>,
    pub(crate) custom: Option<(Arc<dyn CustomApp>, AppOptions)>,
    pub(crate) metrics: Metrics,
    pub(crate) known_fields: KnownFields,
}

impl AgentServer {
    /// A server that lets everybody do everything in the default tenant.
    pub fn new(
        storage: Arc<dyn Storage>,
        queue: Arc<dyn Queue>,
        events: Arc<dyn EventLog>,
        executor: Arc<dyn Executor>,
    ) -> Self {
        Self {
            runs: RunService::new(storage.clone(), queue.clone(), events.clone()),
            storage,
            queue,
            events,
            executor,
            embedder: None,
            interfaces: None,
            auth: Arc::new(OpenAuth::default()),
            clock: Arc::new(SystemClock),
            ids: Arc::new(SystemIds),
            settings: Settings::default(),
            bodies: BodyBudget::default(),
            shared: Arc::default(),
            custom: None,
            metrics: Metrics::default(),
            known_fields: KnownFields::default(),
        }
    }

    /// Decides who may do what with `auth`.
    #[must_use]
    pub fn with_auth(mut self, auth: Arc<dyn Auth>) -> Self {
        self.auth = auth;
        self
    }

    /// Ranks searches of the store that have a query by what texts mean, as `embedder` knows.
    #[must_use]
    pub fn with_embedder(mut self, embedder: Arc<dyn Embedder>) -> Self {
        self.embedder = Some(embedder);
        self
    }

    /// Serves the components of `interfaces` to pages that show them.
    #[must_use]
    pub fn with_user_interfaces(mut self, interfaces: Arc<dyn UserInterfaces>) -> Self {
        self.interfaces = Some(interfaces);
        self
    }

    /// Reads time from `clock`.
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

    /// Counts the bytes of request bodies against `budget`, which servers of one process share. Without it, this server
    /// has 1 GiB of its own.
    #[must_use]
    pub fn with_body_budget(mut self, budget: BodyBudget) -> Self {
        self.bodies = budget;
        self
    }

    /// Shows these metrics at `/metrics`, beside the queue's figures.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Serves `app` beside the API: its routes win over the API's, and its middleware sees every request.
    #[must_use]
    pub fn with_app(mut self, app: Arc<dyn CustomApp>, options: AppOptions) -> Self {
        self.custom = Some((app, options));
        self
    }

    /// Makes sure that every graph of the executor has its system assistant in `tenant`. Call it when the server
    /// starts.
    ///
    /// The assistant gets the graph's config ([`GraphInfo::config`]), if the application has one for it.
    ///
    /// # Errors
    /// What the executor or the storage fail with.
    pub async fn sync_system_assistants(&self, tenant: &Tenant) -> Result<()> {
        for graph in self.executor.graphs().await? {
            self.sync_system_assistant(tenant, graph).await?;
        }
        Ok(())
    }

    /// Makes the system assistant of this id anew if a graph has it; does nothing for every other id.
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
        // A stored config's `configurable` is also its context, as in every assistant.
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
        // A start with another config makes a new version. Without one, a config that a client gave stays.
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

    /// The API as a router, ready to be served or merged into another one.
    pub fn router(self) -> axum::Router {
        crate::router::build(Arc::new(self))
    }

    /// What the executor may reach when it works for a caller with this scope.
    pub(crate) fn reach(&self, scope: &Scope) -> ExecutionContext {
        ExecutionContext { storage: self.storage.clone(), scope: scope.clone() }
    }
}
