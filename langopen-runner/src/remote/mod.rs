//! Runners on other machines, as executors.

mod app;
mod dial;
mod maintain;
mod set;
mod settings;
mod url;

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use langopen_core::executor::{
    BulkUpdateRequest, DrawRequest, ExecutionContext, Executor, GraphDrawing, GraphInfo, GraphSchemas, HistoryRequest,
    RunJob, RunOutput, SchemasRequest, StateAnswer, StateRequest, Subgraphs, SubgraphsRequest, UpdateAnswer,
    UpdateRequest,
};
use langopen_core::{Error, RawJson, Result, Tenant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::HostPool;
use crate::host::WebApi;
use app::RemoteHosts;
use dial::Dialer;
use set::Shared;

pub use app::Announcement;
pub use settings::{RunnerSetError, RunnerSetSettings};
pub use url::{InvalidRunnerUrl, RunnerUrl};

/// The runners of any number of deployments. A runner gets the runs of the deployment in its URL.
///
/// The set restores broken connections. If a runner dies, its runs fail at once, so their workers hand them back at
/// once.
pub struct RunnerSet {
    shared: Arc<Shared>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl RunnerSet {
    /// Starts to connect, without waiting for a runner. It needs a runtime.
    ///
    /// # Errors
    /// `Tls` if certificates cannot be used; `SharedToken` if two deployments have the same token.
    pub fn connect(settings: RunnerSetSettings) -> std::result::Result<Self, RunnerSetError> {
        settings.check()?;
        let (shared, stop, tasks) = (Arc::<Shared>::default(), CancellationToken::new(), TaskTracker::new());
        let urls = settings.urls.clone();
        let dialer = Arc::new(Dialer::new(settings)?);
        for url in urls {
            let maintainer = maintain::Maintainer {
                url: Arc::new(url),
                dialer: Arc::clone(&dialer),
                shared: Arc::clone(&shared),
                stop: stop.clone(),
                tasks: tasks.clone(),
            };
            tasks.spawn(maintainer.maintain());
        }
        tasks.close();
        Ok(Self { shared, stop, tasks })
    }

    /// The deployments of all runners that have ever connected.
    pub fn deployments(&self) -> Vec<Tenant> {
        self.shared.known()
    }

    /// The runners of a deployment as one executor; `None` until one has connected. It stays valid while runners
    /// connect and disconnect.
    pub fn pool(&self, tenant: &Tenant) -> Option<HostPool> {
        let app = self.shared.app(tenant)?;
        Some(HostPool::of(Arc::new(RemoteHosts { app, shared: Arc::clone(&self.shared) })))
    }

    /// The runners' announcement of a deployment's application.
    pub fn announcement(&self, tenant: &Tenant) -> Option<Arc<Announcement>> {
        Some(self.shared.app(tenant)?.announcement())
    }

    /// Changes when a deployment or an announcement is new.
    pub fn announced(&self) -> watch::Receiver<u64> {
        self.shared.announced.subscribe()
    }

    /// From now on, `api` serves the API requests of the applications themselves, each in its deployment; see
    /// [`HostPool::connect`].
    pub fn serve(&self, api: Arc<dyn WebApi>) {
        self.shared.serve(api);
    }

    /// Whether any runner takes runs.
    pub fn is_ready(&self) -> bool {
        !self.shared.able().is_empty()
    }

    /// Why a runner is not connected, if one is not.
    pub fn failure(&self) -> Option<String> {
        self.shared.failure()
    }

    /// Closes all connections. The runners cancel the runs in flight.
    pub async fn shut_down(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }

    fn of(&self, context: &ExecutionContext) -> Result<HostPool> {
        let tenant = context.tenant();
        self.pool(tenant).ok_or_else(|| {
            let why = self.failure().unwrap_or_else(|| "start one with langopen-runner".to_owned());
            Error::unavailable("runners.choose", format!("no runner of the deployment {tenant} is connected; {why}"))
        })
    }
}

#[async_trait]
impl Executor for RunnerSet {
    /// The graphs of all deployments.
    async fn graphs(&self) -> Result<Vec<GraphInfo>> {
        let apps = self.shared.known().into_iter().filter_map(|tenant| self.shared.app(&tenant));
        let mut graphs: Vec<_> = apps.flat_map(|app| app.announcement().offer.graphs.clone()).collect();
        graphs.sort_by(|one, other| one.graph_id.cmp(&other.graph_id));
        graphs.dedup_by(|one, other| one.graph_id == other.graph_id);
        Ok(graphs)
    }

    fn tenants(&self) -> Option<Vec<Tenant>> {
        Some(self.shared.able())
    }

    async fn execute(&self, job: RunJob) -> Result<BoxStream<'static, Result<RunOutput>>> {
        self.of(&job.context)?.execute(job).await
    }

    async fn get_state(&self, context: ExecutionContext, request: StateRequest) -> Result<StateAnswer> {
        self.of(&context)?.get_state(context, request).await
    }

    async fn state_history(&self, context: ExecutionContext, request: HistoryRequest) -> Result<Vec<RawJson>> {
        self.of(&context)?.state_history(context, request).await
    }

    async fn update_state(&self, context: ExecutionContext, request: UpdateRequest) -> Result<UpdateAnswer> {
        self.of(&context)?.update_state(context, request).await
    }

    async fn bulk_update_state(&self, context: ExecutionContext, request: BulkUpdateRequest) -> Result<UpdateAnswer> {
        self.of(&context)?.bulk_update_state(context, request).await
    }

    async fn schemas(&self, context: ExecutionContext, request: SchemasRequest) -> Result<GraphSchemas> {
        self.of(&context)?.schemas(context, request).await
    }

    async fn draw(&self, context: ExecutionContext, request: DrawRequest) -> Result<GraphDrawing> {
        self.of(&context)?.draw(context, request).await
    }

    async fn subgraphs(&self, context: ExecutionContext, request: SubgraphsRequest) -> Result<Subgraphs> {
        self.of(&context)?.subgraphs(context, request).await
    }
}

impl Drop for RunnerSet {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
