//! Several graph hosts of one application as one executor.

mod auth;
mod embedder;
mod settings;
mod slot;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use langopen_core::executor::{ExecutionContext, Executor, GraphCall, GraphInfo, RunJob, RunOutput};
use langopen_core::{Error, RawJson, Result};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use crate::frame::payload::ReadyAuth;
use crate::host::{Host, HostError, HostSpec, WebApi, WebApp, WebBody, WebCall};
use slot::Slot;

pub use auth::{AppAuth, AuthCacheSettings};
pub use settings::{PoolGraph, PoolSettings};

/// A host that owes a sign of life for longer than this gets no new work while another one can take it.
const BLOCKED_AFTER: u64 = 500;

/// How long work waits for a host to come back before it is refused.
const HOST_WAIT: Duration = Duration::from_secs(30);

/// Graph hosts of one application. Work goes to the host with the least in flight; one whose loop is blocked by its graphs is passed over.
pub struct HostPool {
    slots: Vec<Arc<Slot>>,
    graphs: Vec<GraphInfo>,
    /// What the application's `Auth` object handles.
    auth: Option<ReadyAuth>,
    langgraph_version: Option<String>,
    web: Option<WebApp>,
    api: Arc<OnceLock<Arc<dyn WebApi>>>,
    /// Rings when a host becomes ready.
    ready: Arc<Notify>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl HostPool {
    /// Starts the hosts and waits until all have loaded the application's graphs.
    ///
    /// # Errors
    /// The first host's failure to start; none is left running then.
    pub async fn start(settings: PoolSettings) -> std::result::Result<Self, HostError> {
        let spec = Arc::new(settings.host_spec()?);
        let count = settings.hosts.max(1);
        let (ready, stop, tasks) = (Arc::new(Notify::new()), CancellationToken::new(), TaskTracker::new());
        let api = Arc::<OnceLock<Arc<dyn WebApi>>>::default();
        let starts = (0..count).map(|number| {
            let (spec, api): (Arc<HostSpec>, _) = (Arc::clone(&spec), Arc::clone(&api));
            async move { crate::host::start(&spec, number, api).await.map(|started| (number, started)) }
        });
        let started = futures::future::try_join_all(starts).await?;
        let graphs = started.first().map(|(_, (host, _))| host.graphs().to_vec()).unwrap_or_default();
        let langgraph_version = started.first().map(|(_, (host, _))| host.langgraph_version().to_owned());
        let auth = started.first().and_then(|(_, (host, _))| host.auth().cloned());
        let web = started.first().and_then(|(_, (host, _))| host.web_app().cloned());
        let mut slots = Vec::with_capacity(count);
        for (number, (host, child)) in started {
            let slot = Arc::new(Slot::new(number, Arc::clone(&spec), Arc::clone(&api), settings.unresponsive_after));
            slot.fill(host);
            tasks.spawn(Arc::clone(&slot).supervise(child, Arc::clone(&ready), stop.clone()));
            slots.push(slot);
        }
        tasks.close();
        info!(hosts = count, graphs = graphs.len(), "graph hosts are ready");
        Ok(Self { slots, graphs, auth, langgraph_version, web, api, ready, stop, tasks })
    }

    /// The version of langgraph that runs the graphs.
    pub fn langgraph_version(&self) -> Option<&str> {
        self.langgraph_version.as_deref().filter(|version| *version != "unknown")
    }

    /// Ends all hosts. Runs in flight are cut off; their workers hand them back.
    pub async fn shut_down(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }

    /// The application's own web app, if it has one.
    pub fn web_app(&self) -> Option<&WebApp> {
        self.web.as_ref()
    }

    /// Has the web app answer; `api` is what it may ask meanwhile.
    ///
    /// # Errors
    /// `Unavailable` when no host can take the request or it died before it answered.
    pub async fn web(&self, call: WebCall, api: Arc<dyn WebApi>) -> Result<http::Response<WebBody>> {
        self.choose().await?.web(call, api).await
    }

    /// Serves the requests that the application itself makes of the API, by an SDK client without an address. Only the first call counts.
    pub fn connect(&self, api: Arc<dyn WebApi>) {
        if self.api.set(api).is_err() {
            info!("the application's requests are served already");
        }
    }

    async fn choose(&self) -> Result<Arc<Host>> {
        let deadline = tokio::time::Instant::now() + HOST_WAIT;
        loop {
            let ready = self.ready.notified();
            let hosts = self.slots.iter().filter_map(|slot| slot.host());
            let best = hosts.min_by_key(|host| (host.silent_for() > BLOCKED_AFTER, host.load()));
            if let Some(host) = best {
                return Ok(host);
            }
            if tokio::time::timeout_at(deadline, ready).await.is_err() {
                let why = self.slots.iter().find_map(|slot| slot.failure()).unwrap_or_default();
                return Err(Error::unavailable("pool.choose", format!("no graph host is ready; {why}")));
            }
        }
    }
}

#[async_trait]
impl Executor for HostPool {
    async fn graphs(&self) -> Result<Vec<GraphInfo>> {
        Ok(self.graphs.clone())
    }

    async fn execute(&self, job: RunJob) -> Result<BoxStream<'static, Result<RunOutput>>> {
        self.choose().await?.execute(job).await
    }

    async fn call(&self, context: ExecutionContext, call: GraphCall) -> Result<RawJson> {
        if !self.graphs.iter().any(|graph| graph.graph_id == call.graph_id()) {
            return Err(Error::not_found("pool.call", format!("there is no graph {:?}", call.graph_id())));
        }
        self.choose().await?.call(context, &call).await
    }
}
