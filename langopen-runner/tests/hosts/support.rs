//! Shared by the tests: the environment of the test application, and runs.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use langopen_backends::memory::Memory;
use langopen_core::auth::Credentials;
use langopen_core::executor::{ExecutionContext, Executor, RunJob, RunOutput, RunResult};
use langopen_core::model::{
    CancelAction, CancelRequest, IfExists, MultitaskStrategy, NewRun, NewThread, Run, RunThread, ThreadStatus,
};
use langopen_core::queue::{ClaimRequest, Lease, Outcome};
use langopen_core::storage::Threads;
use langopen_core::{
    AssistantId, Clock, JsonMap, Queue, Result, RunId, RunStatus, Scope, SystemClock, Tenant, ThreadId,
};
use langopen_runner::environment::Options;
use langopen_runner::{
    AppConfig, EnvironmentPlan, HostPool, Inherited, PoolGraph, PoolSettings, PythonRuntime, Withheld,
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

/// The settings of a pool for the test application. Its environment is made once, below the target folder.
pub(crate) async fn settings(hosts: usize) -> PoolSettings {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let config = AppConfig::load(&here.join("tests/app/langgraph.json")).unwrap();
    let cache =
        std::env::var_os("LANGOPEN_CACHE_DIR").map_or_else(|| here.join("../target/environments"), PathBuf::from);
    let plan = EnvironmentPlan::new(&config, Options::new(cache)).await.unwrap();
    let environment = plan.ensure(|_| {}).await.unwrap();
    PoolSettings {
        hosts,
        python: Some(PythonRuntime { interpreter: environment.python, search_path: environment.search_path }),
        node: None,
        program_dir: here.join("../target/host-program"),
        base_dir: config.base_dir().to_owned(),
        env: std::collections::BTreeMap::new(),
        inherited: Inherited::of_process(&Withheld::default()),
        sandbox: None,
        temp_dir: None,
        graphs: config
            .graphs
            .iter()
            .map(|(id, graph)| (id.clone(), PoolGraph { target: graph.target.to_string(), description: None }))
            .collect(),
        auth: None,
        store_index: None,
        store_ttl: None,
        serde: None,
        web_app: None,
        ui: std::collections::BTreeMap::new(),
        ui_shared: Vec::new(),
        mount_prefix: String::new(),
        api_url: "http://127.0.0.1".to_owned(),
        load_timeout: PoolSettings::LOAD_TIMEOUT,
        unresponsive_after: PoolSettings::UNRESPONSIVE_AFTER,
    }
}

pub(crate) struct Bench {
    pub(crate) pool: Arc<HostPool>,
    pub(crate) context: ExecutionContext,
    scope: Scope,
    memory: Memory,
    /// The lease of the last run of each thread.
    leases: Mutex<HashMap<ThreadId, Lease>>,
}

pub(crate) type Outputs = BoxStream<'static, Result<RunOutput>>;

impl Bench {
    pub(crate) async fn start(hosts: usize) -> Self {
        Self::with(settings(hosts).await).await
    }

    pub(crate) async fn with(settings: PoolSettings) -> Self {
        let pool = Arc::new(HostPool::start(settings).await.unwrap());
        Self::of(pool, Tenant::default())
    }

    /// A bench over existing hosts.
    pub(crate) fn of(pool: Arc<HostPool>, tenant: Tenant) -> Self {
        let memory = Memory::new();
        let (storage, scope) = (Arc::new(memory.clone()), Scope::tenant(tenant));
        let context = ExecutionContext::new(storage.clone(), storage, scope.clone());
        Self { pool, context, scope, memory, leases: Mutex::default() }
    }

    /// Claims the run, after the previous one of its thread has ended.
    async fn claimed(&self, new: NewRun) -> Run {
        let thread_id = new.thread_id;
        let before = self.leases.lock().remove(&thread_id);
        if let Some(lease) = before {
            let end = Outcome {
                status: RunStatus::Success,
                thread_status: ThreadStatus::Idle,
                error: None,
                interrupts: json!({}).into(),
                state: None,
                values: None,
                rollback: false,
            };
            self.memory.finish(lease, end).await.unwrap();
        }
        self.memory.enqueue(&self.scope, new).await.unwrap();
        let request = ClaimRequest::new("worker", 1, Duration::from_secs(3600));
        let claim = self.memory.claim(&request).await.unwrap().runs.remove(0);
        self.leases.lock().insert(thread_id, claim.lease());
        claim.run
    }

    pub(crate) async fn thread(&self) -> ThreadId {
        let thread_id = ThreadId(Uuid::now_v7());
        let new = NewThread { thread_id, metadata: JsonMap::new(), ttl: None };
        self.memory.create_thread(&self.scope, new, IfExists::Raise).await.unwrap();
        thread_id
    }

    pub(crate) async fn run(
        &self,
        graph_id: &str,
        thread_id: ThreadId,
        input: Value,
    ) -> (Outputs, watch::Sender<Option<CancelRequest>>) {
        self.begin(graph_id, thread_id, input, false, false).await
    }

    /// Like `run`, for a run that may have ended a host before.
    pub(crate) async fn suspect(&self, graph_id: &str, thread_id: ThreadId, input: Value) -> Outputs {
        self.begin(graph_id, thread_id, input, false, true).await.0
    }

    /// Like `run`, with a resumable stream.
    pub(crate) async fn resumable(&self, graph_id: &str, thread_id: ThreadId, input: Value) -> Outputs {
        self.begin(graph_id, thread_id, input, true, false).await.0
    }

    async fn begin(
        &self,
        graph_id: &str,
        thread_id: ThreadId,
        input: Value,
        resumable: bool,
        suspect: bool,
    ) -> (Outputs, watch::Sender<Option<CancelRequest>>) {
        let run_id = RunId(Uuid::now_v7());
        let kwargs = json!({
            "input": input,
            "config": {"configurable": {"thread_id": thread_id, "run_id": run_id, "graph_id": graph_id}},
            "stream_mode": ["values", "custom"],
        });
        let new = NewRun {
            run_id,
            thread_id,
            assistant_id: AssistantId::system(graph_id),
            graph_id: graph_id.to_owned(),
            metadata_base: JsonMap::new(),
            metadata_own: JsonMap::new(),
            kwargs: kwargs.into(),
            multitask_strategy: MultitaskStrategy::Enqueue,
            resumable,
            webhook: None,
            temporary: false,
            origin: Default::default(),
            available_at: SystemClock.now(),
            thread: RunThread { create: true, metadata: JsonMap::new(), config: JsonMap::new(), ttl: None },
            firing: None,
        };
        let run = self.claimed(new).await;
        let (cancel, cancelled) = watch::channel(None);
        let job = RunJob::new(run, self.context.clone(), cancelled).with_suspect(suspect);
        (self.pool.execute(job).await.unwrap(), cancel)
    }
}

pub(crate) async fn to_the_end(mut outputs: Outputs) -> Result<(Vec<String>, RunResult)> {
    let mut names = Vec::new();
    while let Some(output) = outputs.next().await {
        match output? {
            RunOutput::Event { name, .. } => names.push(name.to_string()),
            RunOutput::Done(result) => {
                assert!(outputs.next().await.is_none(), "nothing follows the end");
                return Ok((names, *result));
            }
        }
    }
    panic!("the stream ended without a result");
}

pub(crate) fn interrupt() -> Option<CancelRequest> {
    Some(CancelRequest { action: CancelAction::Interrupt, reason: "by the test".to_owned() })
}

pub(crate) fn bearer(token: &str) -> Credentials {
    Credentials { headers: vec![("authorization".to_owned(), token.to_owned())], ..Credentials::default() }
}
