//! Runners on other machines, as executors.

mod app;
mod dial;
mod keep;
mod set;
mod settings;
mod url;

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use langopen_core::executor::{ExecutionContext, Executor, GraphCall, GraphInfo, RunJob, RunOutput};
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

/// The runners of any number of deployments. A runner gets the runs of the deployment that its URL names.
///
/// The set renews connections that break. A run fails as soon as its runner dies, so its worker hands it back at once.
pub struct RunnerSet {
    shared: Arc<Shared>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl RunnerSet {
    /// Begins to connect; it does not wait for a runner. Needs a runtime.
    ///
    /// # Errors
    /// `Tls` for certificates that cannot be used; `SharedToken` where two deployments have one token.
    pub fn connect(settings: RunnerSetSettings) -> std::result::Result<Self, RunnerSetError> {
        settings.check()?;
        let (shared, stop, tasks) = (Arc::<Shared>::default(), CancellationToken::new(), TaskTracker::new());
        let urls = settings.urls.clone();
        let dialer = Arc::new(Dialer::new(settings)?);
        for url in urls {
            let keeper = keep::Keeper {
                url: Arc::new(url),
                dialer: Arc::clone(&dialer),
                shared: Arc::clone(&shared),
                stop: stop.clone(),
                tasks: tasks.clone(),
            };
            tasks.spawn(keeper.keep());
        }
        tasks.close();
        Ok(Self { shared, stop, tasks })
    }

    /// The deployments that a runner was ever seen of.
    pub fn deployments(&self) -> Vec<Tenant> {
        self.shared.known()
    }

    /// The runners of a deployment as one executor; `None` until one was seen. It stays good while runners come and go.
    pub fn pool(&self, tenant: &Tenant) -> Option<HostPool> {
        let app = self.shared.app(tenant)?;
        Some(HostPool::of(Arc::new(RemoteHosts { app, shared: Arc::clone(&self.shared) })))
    }

    /// What its runners say of a deployment's application.
    pub fn announcement(&self, tenant: &Tenant) -> Option<Arc<Announcement>> {
        Some(self.shared.app(tenant)?.announcement())
    }

    /// Changes when a deployment is new, or its announcement is.
    pub fn announced(&self) -> watch::Receiver<u64> {
        self.shared.announced.subscribe()
    }

    /// Serves the requests that applications make of the API by themselves, each in its deployment; see [`HostPool::connect`].
    pub fn serve(&self, api: Arc<dyn WebApi>) {
        self.shared.serve(api);
    }

    /// Whether a runner takes runs.
    pub fn is_ready(&self) -> bool {
        !self.shared.able().is_empty()
    }

    /// Why a runner is not connected.
    pub fn failure(&self) -> Option<String> {
        self.shared.failure()
    }

    /// Ends all connections. Runs in flight are cancelled on their runners.
    pub async fn shut_down(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }

    fn of(&self, context: &ExecutionContext) -> Result<HostPool> {
        let tenant = &context.scope.tenant;
        self.pool(tenant).ok_or_else(|| {
            let why = self.failure().unwrap_or_else(|| "start one with langopen-runner".to_owned());
            Error::unavailable("runners.choose", format!("no runner of the deployment {tenant} is connected; {why}"))
        })
    }
}

#[async_trait]
impl Executor for RunnerSet {
    /// Those of all deployments together.
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

    async fn call(&self, context: ExecutionContext, call: GraphCall) -> Result<RawJson> {
        self.of(&context)?.call(context, call).await
    }
}

impl Drop for RunnerSet {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
