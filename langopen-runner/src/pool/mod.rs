//! Several graph hosts of one application as one executor, on this machine or behind runners.

mod auth;
mod embedder;
mod local;
mod need;
mod settings;
mod slot;
mod solitary;
mod source;
mod ui;
mod watch;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use langopen_core::executor::{
    AttemptLost, Blame, BulkUpdateRequest, DrawRequest, ExecutionContext, Executor, GraphDrawing, GraphInfo,
    GraphSchemas, HistoryRequest, RunJob, RunOutput, SchemasRequest, StateAnswer, StateRequest, Subgraphs,
    SubgraphsRequest, UpdateAnswer, UpdateRequest,
};
use langopen_core::user_interface::Bundle;
use langopen_core::{Error, RawJson, Result, Tenant};
use parking_lot::Mutex;

use crate::frame::payload::ReadyAuth;
use crate::host::{Host, HostError, Owner, Question, WebApi, WebApp, WebBody, WebCall};

pub use auth::{AppAuth, AuthCacheSettings};
pub(crate) use local::LocalHosts;
pub(crate) use need::{Need, Work};
pub use settings::{NodeRuntime, PoolGraph, PoolSettings, PythonRuntime};
pub(crate) use solitary::Alone;
pub(crate) use source::{Source, best};

/// Graph hosts of one application. Work goes to the host with the least in flight; a host whose event loop is blocked
/// is skipped.
///
/// A run that may have ended a host before executes in a host of its own.
pub struct HostPool {
    source: Arc<dyn Source>,
    /// The requested bundles of components, by name.
    bundles: Mutex<HashMap<String, Arc<Bundle>>>,
}

impl HostPool {
    /// Starts hosts on this machine and waits until all have loaded the application's graphs.
    ///
    /// # Errors
    /// The first failure of a host to start. The other hosts are then ended.
    pub async fn start(settings: PoolSettings) -> std::result::Result<Self, HostError> {
        let owner = Owner::new(Tenant::default(), Arc::default());
        Ok(Self::of(Arc::new(LocalHosts::start(settings, owner).await?)))
    }

    pub(crate) fn of(source: Arc<dyn Source>) -> Self {
        Self { source, bundles: Mutex::default() }
    }

    /// The version of langgraph in the application's environment.
    pub fn langgraph_version(&self) -> Option<String> {
        let version = self.source.offer().langgraph_version.clone();
        (!version.is_empty() && version != "unknown").then_some(version)
    }

    /// Ends the hosts that this process started. Runs in flight are lost; their workers hand them back.
    pub async fn shut_down(&self) {
        self.source.shut_down().await;
    }

    /// The application's own web app, if it has one.
    pub fn web_app(&self) -> Option<WebApp> {
        self.source.offer().http.clone()
    }

    /// Sends a request to the web app, which may call `api` meanwhile.
    ///
    /// # Errors
    /// `Unavailable` if no host can take the request, or if the host dies before it answers.
    pub async fn web(&self, call: WebCall, api: Arc<dyn WebApi>) -> Result<http::Response<WebBody>> {
        self.choose(Work::Question, Need::WebApp).await?.web(call, api).await
    }

    /// From now on, `api` serves the API requests that the application itself makes through an SDK client without an
    /// address.
    pub fn connect(&self, api: Arc<dyn WebApi>) {
        self.source.connect(api);
    }

    /// Whether the application has components for browsers, even if bundling failed.
    pub fn has_ui(&self) -> bool {
        !self.source.offer().ui.is_empty()
    }

    /// The resources and actions that the application's `Auth` object handles.
    fn auth(&self) -> Option<ReadyAuth> {
        self.source.offer().auth.clone()
    }

    /// Asks a host that has the graph.
    async fn ask<Q: Question>(&self, context: ExecutionContext, question: &Q) -> Result<Q::Answer> {
        let graph_id = question.graph_id();
        if !self.source.offer().has_graph(graph_id) {
            return Err(Error::not_found("pool.call", format!("there is no graph {graph_id:?}")));
        }
        self.choose(Work::Question, Need::graph(graph_id)).await?.call(context, question).await
    }

    async fn choose(&self, work: Work, need: Need<'_>) -> Result<Arc<Host>> {
        source::choose(&*self.source, work, need).await
    }
}

#[async_trait]
impl Executor for HostPool {
    async fn graphs(&self) -> Result<Vec<GraphInfo>> {
        Ok(self.source.offer().graphs.clone())
    }

    async fn execute(&self, job: RunJob) -> Result<BoxStream<'static, Result<RunOutput>>> {
        let need = || Need::graph(&job.run.graph_id);
        if job.suspect {
            let mut cancel = job.cancel.clone();
            let wanted = need();
            let alone = tokio::select! {
                alone = self.source.alone(&wanted) => alone,
                Ok(_) = cancel.wait_for(Option::is_some) => {
                    return Err(AttemptLost::new(Blame::Bystander, "the run was cancelled before it began").into());
                }
            };
            if let Some(alone) = alone {
                return Arc::clone(&alone.host).execute(job, Some(Box::new(alone))).await;
            }
        }
        let host = self.choose(Work::Run, need()).await?;
        host.execute(job, None).await
    }

    async fn get_state(&self, context: ExecutionContext, request: StateRequest) -> Result<StateAnswer> {
        self.ask(context, &request).await
    }

    async fn state_history(&self, context: ExecutionContext, request: HistoryRequest) -> Result<Vec<RawJson>> {
        self.ask(context, &request).await
    }

    async fn update_state(&self, context: ExecutionContext, request: UpdateRequest) -> Result<UpdateAnswer> {
        self.ask(context, &request).await
    }

    async fn bulk_update_state(&self, context: ExecutionContext, request: BulkUpdateRequest) -> Result<UpdateAnswer> {
        self.ask(context, &request).await
    }

    async fn schemas(&self, context: ExecutionContext, request: SchemasRequest) -> Result<GraphSchemas> {
        self.ask(context, &request).await
    }

    async fn draw(&self, context: ExecutionContext, request: DrawRequest) -> Result<GraphDrawing> {
        self.ask(context, &request).await
    }

    async fn subgraphs(&self, context: ExecutionContext, request: SubgraphsRequest) -> Result<Subgraphs> {
        self.ask(context, &request).await
    }
}
