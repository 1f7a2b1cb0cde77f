//! A worker over the memory backend, with an executor that behaves as a test needs.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use langopen_backends::memory::{Memory, MemoryEventLog};
use langopen_core::event_log::{LogKey, ReadFrom};
use langopen_core::executor::{Executor, GraphInfo, RunJob, RunOutput, RunResult, RunResultStatus};
use langopen_core::model::{MultitaskStrategy, NewRun, Run, RunThread, ThreadStatus};
use langopen_core::storage::Runs;
use langopen_core::{
    AssistantId, Backend, Clock, EventLog, JsonMap, Queue, Result, RunId, RunStatus, Scope, SystemClock, Tenant,
    ThreadId, Timestamp,
};
use langopen_worker::{Worker, WorkerSettings};
use parking_lot::Mutex;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) type Script =
    Arc<dyn Fn(RunJob) -> BoxFuture<'static, Result<BoxStream<'static, Result<RunOutput>>>> + Send + Sync>;

pub(crate) struct Scripted {
    pub script: Script,
    /// The tenants whose runs the executor can execute.
    pub tenants: Option<Arc<Mutex<Vec<Tenant>>>>,
}

#[async_trait]
impl Executor for Scripted {
    async fn graphs(&self) -> Result<Vec<GraphInfo>> {
        Ok(Vec::new())
    }

    async fn execute(&self, job: RunJob) -> Result<BoxStream<'static, Result<RunOutput>>> {
        (self.script)(job).await
    }

    fn tenants(&self) -> Option<Vec<Tenant>> {
        self.tenants.as_ref().map(|tenants| tenants.lock().clone())
    }
}

pub(crate) struct Bench {
    pub memory: Memory,
    pub events: Arc<MemoryEventLog>,
    pub stop: CancellationToken,
    pub worker: tokio::task::JoinHandle<()>,
}

impl Bench {
    pub(crate) fn start<F>(settings: WorkerSettings, script: F) -> Self
    where
        F: Fn(RunJob) -> Vec<Result<RunOutput>> + Send + Sync + 'static,
    {
        Self::start_async(settings, move |job| {
            let outputs = script(job);
            async move { Ok(stream::iter(outputs).boxed()) }.boxed()
        })
    }

    pub(crate) fn start_async<F>(settings: WorkerSettings, script: F) -> Self
    where
        F: Fn(RunJob) -> BoxFuture<'static, Result<BoxStream<'static, Result<RunOutput>>>> + Send + Sync + 'static,
    {
        Self::with(settings, Scripted { script: Arc::new(script), tenants: None })
    }

    pub(crate) fn with(settings: WorkerSettings, executor: Scripted) -> Self {
        let memory = Memory::new();
        let events = Arc::new(MemoryEventLog::new());
        let backend = Backend::new(Arc::new(memory.clone()), events.clone());
        let executor = Arc::new(executor);
        let stop = CancellationToken::new();
        let worker = tokio::spawn(Worker::new(backend, executor, settings).run(stop.clone()));
        Self { memory, events, stop, worker }
    }

    /// Creates a run and returns the names and data of all its events, up to the end of its log.
    pub(crate) async fn create(&self) -> (ThreadId, RunId, tokio::task::JoinHandle<Vec<(String, String)>>) {
        self.create_at(SystemClock.now()).await
    }

    /// Like `create`, for a run that may not start before `available_at`.
    pub(crate) async fn create_at(
        &self,
        available_at: Timestamp,
    ) -> (ThreadId, RunId, tokio::task::JoinHandle<Vec<(String, String)>>) {
        let (thread_id, run_id) = (ThreadId(Uuid::now_v7()), RunId(Uuid::now_v7()));
        let mut events = self.events.read(LogKey { thread_id, run_id }, ReadFrom::Now).await.unwrap();
        let new = NewRun {
            run_id,
            thread_id,
            assistant_id: AssistantId::system("graph"),
            graph_id: "graph".to_owned(),
            metadata_base: JsonMap::new(),
            metadata_own: JsonMap::new(),
            kwargs: json!({}).into(),
            multitask_strategy: MultitaskStrategy::Enqueue,
            resumable: false,
            webhook: None,
            temporary: false,
            origin: Default::default(),
            available_at,
            thread: RunThread { create: true, metadata: JsonMap::new(), config: JsonMap::new(), ttl: None },
            firing: None,
        };
        self.memory.enqueue(&Scope::default(), new).await.unwrap();
        let all = tokio::spawn(async move {
            let mut all = Vec::new();
            while let Some(event) = events.next().await {
                let event = event.unwrap();
                all.push((event.name.to_string(), String::from_utf8(event.data.to_vec()).unwrap()));
            }
            all
        });
        (thread_id, run_id, all)
    }

    pub(crate) async fn row(&self, thread_id: ThreadId, run_id: RunId) -> Option<Run> {
        self.memory.run(&Scope::default(), thread_id, run_id).await.unwrap()
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.worker.await.unwrap();
    }
}

pub(crate) fn settings() -> WorkerSettings {
    WorkerSettings::default().with_lease(Duration::from_millis(300)).with_grace(Duration::from_millis(50))
}

pub(crate) fn event(name: &str) -> Result<RunOutput> {
    Ok(RunOutput::Event { name: name.into(), data: "{}".into() })
}

pub(crate) fn result(status: RunResultStatus) -> RunResult {
    RunResult {
        status,
        thread_status: ThreadStatus::Idle,
        error: None,
        detail: None,
        retryable: false,
        interrupts: json!({}).into(),
        state: None,
    }
}

pub(crate) fn done(result: RunResult) -> Result<RunOutput> {
    Ok(RunOutput::Done(Box::new(result)))
}

/// An execution that continues until it is cancelled.
pub(crate) fn until_cancelled(job: RunJob) -> BoxFuture<'static, Result<BoxStream<'static, Result<RunOutput>>>> {
    async move {
        let mut cancel = job.cancel;
        let end = async move {
            let _ = cancel.wait_for(Option::is_some).await;
            done(result(RunResultStatus::Cancelled))
        };
        Ok(stream::iter([event("values")]).chain(end.into_stream()).boxed())
    }
    .boxed()
}

pub(crate) fn names(events: &[(String, String)]) -> Vec<&str> {
    events.iter().map(|(name, _)| name.as_str()).collect()
}

pub(crate) async fn wait_for_status(bench: &Bench, thread_id: ThreadId, run_id: RunId, status: RunStatus) {
    loop {
        if bench.row(thread_id, run_id).await.is_some_and(|run| run.status == status) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
