//! The run loop over the memory backend, with executors that behave as each test needs.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use langopen_backends::memory::{Memory, MemoryEventLog};
use langopen_core::event_log::{LogKey, ReadFrom};
use langopen_core::executor::{
    AttemptLost, Blame, Executor, GraphInfo, ResultState, RunJob, RunOutput, RunResult, RunResultStatus,
};
use langopen_core::model::{
    CancelAction, CancelRequest, MultitaskStrategy, NewRun, Run, RunError, RunThread, ThreadStatus,
};
use langopen_core::storage::{Runs, Threads};
use langopen_core::{
    AssistantId, Backend, Clock, Error, EventLog, JsonMap, Queue, Result, RunId, RunStatus, Scope, SystemClock, Tenant,
    ThreadId, Timestamp,
};
use langopen_testkit::chaos::{Chaos, Rates};
use langopen_worker::{Worker, WorkerSettings};
use parking_lot::Mutex;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

type Script = Arc<dyn Fn(RunJob) -> BoxFuture<'static, Result<BoxStream<'static, Result<RunOutput>>>> + Send + Sync>;

struct Scripted {
    script: Script,
    /// The tenants whose runs the executor can execute.
    tenants: Option<Arc<Mutex<Vec<Tenant>>>>,
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

struct Bench {
    memory: Memory,
    events: Arc<MemoryEventLog>,
    stop: CancellationToken,
    worker: tokio::task::JoinHandle<()>,
}

impl Bench {
    fn start<F>(settings: WorkerSettings, script: F) -> Self
    where
        F: Fn(RunJob) -> Vec<Result<RunOutput>> + Send + Sync + 'static,
    {
        Self::start_async(settings, move |job| {
            let outputs = script(job);
            async move { Ok(stream::iter(outputs).boxed()) }.boxed()
        })
    }

    fn start_async<F>(settings: WorkerSettings, script: F) -> Self
    where
        F: Fn(RunJob) -> BoxFuture<'static, Result<BoxStream<'static, Result<RunOutput>>>> + Send + Sync + 'static,
    {
        Self::with(settings, Scripted { script: Arc::new(script), tenants: None })
    }

    fn with(settings: WorkerSettings, executor: Scripted) -> Self {
        let memory = Memory::new();
        let events = Arc::new(MemoryEventLog::new());
        let backend = Backend::new(Arc::new(memory.clone()), events.clone());
        let executor = Arc::new(executor);
        let stop = CancellationToken::new();
        let worker = tokio::spawn(Worker::new(backend, executor, settings).run(stop.clone()));
        Self { memory, events, stop, worker }
    }

    /// Creates a run and returns the names and data of all its events, up to the end of its log.
    async fn create(&self) -> (ThreadId, RunId, tokio::task::JoinHandle<Vec<(String, String)>>) {
        self.create_at(SystemClock.now()).await
    }

    /// Like `create`, for a run that may not start before `available_at`.
    async fn create_at(
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

    async fn row(&self, thread_id: ThreadId, run_id: RunId) -> Option<Run> {
        self.memory.run(&Scope::default(), thread_id, run_id).await.unwrap()
    }

    async fn stop(self) {
        self.stop.cancel();
        self.worker.await.unwrap();
    }
}

fn settings() -> WorkerSettings {
    WorkerSettings::default().with_lease(Duration::from_millis(300)).with_grace(Duration::from_millis(50))
}

fn event(name: &str) -> Result<RunOutput> {
    Ok(RunOutput::Event { name: name.into(), data: "{}".into() })
}

fn result(status: RunResultStatus) -> RunResult {
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

fn done(result: RunResult) -> Result<RunOutput> {
    Ok(RunOutput::Done(Box::new(result)))
}

/// An execution that continues until it is cancelled.
fn until_cancelled(job: RunJob) -> BoxFuture<'static, Result<BoxStream<'static, Result<RunOutput>>>> {
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

fn names(events: &[(String, String)]) -> Vec<&str> {
    events.iter().map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn only_runs_that_the_executor_can_take_are_claimed() {
    let able = Arc::new(Mutex::new(vec![Tenant::new("acme", "web", "prod").unwrap()]));
    let script: Script =
        Arc::new(|_| async { Ok(stream::iter([done(result(RunResultStatus::Success))]).boxed()) }.boxed());
    let bench = Bench::with(WorkerSettings::default(), Scripted { script, tenants: Some(Arc::clone(&able)) });
    let (thread_id, run_id, events) = bench.create().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(bench.row(thread_id, run_id).await.unwrap().status, RunStatus::Pending);
    able.lock().push(Tenant::default());
    events.await.unwrap();
    assert_eq!(bench.row(thread_id, run_id).await.unwrap().status, RunStatus::Success);
    bench.stop().await;
}

#[tokio::test]
async fn a_run_is_executed_and_its_end_is_committed_before_its_stream_ends() {
    let bench = Bench::start(settings(), |_| {
        let state = ResultState { checkpoint_id: None, values: json!({"n": 1}).into(), rest: json!({}).into() };
        vec![event("values"), done(RunResult { state: Some(state), ..result(RunResultStatus::Success) })]
    });
    let (thread_id, run_id, events) = bench.create().await;
    let events = events.await.unwrap();
    assert_eq!(names(&events), ["metadata", "values"]);
    assert_eq!(events[0].1, format!(r#"{{"run_id":"{run_id}","attempt":1}}"#));
    assert_eq!(bench.row(thread_id, run_id).await.unwrap().status, RunStatus::Success);
    let thread = bench.memory.thread(&Scope::default(), thread_id).await.unwrap().unwrap();
    assert_eq!(thread.status, ThreadStatus::Idle);
    assert_eq!(thread.values.unwrap().as_str(), r#"{"n":1}"#);
    bench.stop().await;
}

#[tokio::test]
async fn a_graph_that_fails_ends_its_run_with_an_error_event() {
    let bench = Bench::start(settings(), |_| {
        let error = Some(RunError { error: "ValueError".to_owned(), message: "no".to_owned() });
        let thread_status = ThreadStatus::Error;
        vec![done(RunResult { error, thread_status, ..result(RunResultStatus::Error) })]
    });
    let (thread_id, run_id, events) = bench.create().await;
    let events = events.await.unwrap();
    assert_eq!(names(&events), ["metadata", "error"]);
    assert_eq!(events[1].1, r#"{"error":"ValueError","message":"no"}"#);
    assert_eq!(bench.row(thread_id, run_id).await.unwrap().status, RunStatus::Error);
    bench.stop().await;
}

#[tokio::test]
async fn a_lost_execution_is_tried_again_and_keeps_the_events_before_the_loss() {
    let tries = Arc::new(AtomicU32::new(0));
    let bench = Bench::start(settings(), move |job| match tries.fetch_add(1, Ordering::SeqCst) {
        0 => vec![event("values"), Err(Error::unavailable("test", "the host died"))],
        _ => {
            assert_eq!(job.run.attempt, 2);
            vec![event("updates"), done(result(RunResultStatus::Success))]
        }
    });
    let (thread_id, run_id, events) = bench.create().await;
    let events = events.await.unwrap();
    assert_eq!(names(&events), ["metadata", "values", "metadata", "updates"]);
    assert_eq!(events[2].1, format!(r#"{{"run_id":"{run_id}","attempt":2}}"#));
    assert_eq!(bench.row(thread_id, run_id).await.unwrap().status, RunStatus::Success);
    bench.stop().await;
}

#[tokio::test]
async fn a_run_that_is_lost_every_time_is_given_up() {
    let bench = Bench::start(settings().with_max_attempts(2), |_| vec![event("values")]);
    let (thread_id, run_id, events) = bench.create().await;
    let events = events.await.unwrap();
    assert_eq!(names(&events), ["metadata", "values", "metadata", "values", "error"]);
    assert!(events[4].1.contains("RunLost"), "{}", events[4].1);
    assert_eq!(bench.row(thread_id, run_id).await.unwrap().status, RunStatus::Error);
    bench.stop().await;
}

fn lost(blame: Blame) -> Result<RunOutput> {
    Err(AttemptLost::new(blame, "the graph host ended with signal: 9 (SIGKILL)").into())
}

#[tokio::test]
async fn a_bystander_loses_no_attempt() {
    let tries = Arc::new(AtomicU32::new(0));
    let bench = Bench::start(settings().with_max_attempts(1), move |job| match tries.fetch_add(1, Ordering::SeqCst) {
        0..3 => vec![lost(Blame::Bystander)],
        _ => {
            assert_eq!((job.run.attempt, job.suspect), (4, false));
            vec![done(result(RunResultStatus::Success))]
        }
    });
    let (thread_id, run_id, events) = bench.create().await;
    events.await.unwrap();
    assert_eq!(bench.row(thread_id, run_id).await.unwrap().status, RunStatus::Success);
    bench.stop().await;
}

#[tokio::test]
async fn a_run_that_ends_its_host_twice_ends_with_an_error_that_says_so() {
    let tries = Arc::new(AtomicU32::new(0));
    let bench = Bench::start(settings(), move |job| match tries.fetch_add(1, Ordering::SeqCst) {
        0 => vec![lost(Blame::Suspect)],
        _ => {
            assert!(job.suspect, "it is tried alone");
            vec![lost(Blame::Culprit)]
        }
    });
    let (thread_id, run_id, events) = bench.create().await;
    let events = events.await.unwrap();
    assert_eq!(names(&events), ["metadata", "metadata", "error"]);
    assert!(events[2].1.contains("GraphHostDied") && events[2].1.contains("SIGKILL"), "{}", events[2].1);
    let run = bench.row(thread_id, run_id).await.unwrap();
    assert_eq!((run.status, run.attempt), (RunStatus::Error, 2));
    bench.stop().await;
}

#[tokio::test]
async fn runs_wait_for_an_event_log_that_does_not_answer() {
    let memory = Memory::new();
    let chaos = Chaos::new(7, Rates { refused: 1.0, ..Rates::default() });
    let script: Script =
        Arc::new(|_| async { Ok(stream::iter([done(result(RunResultStatus::Success))]).boxed()) }.boxed());
    let events = Arc::new(MemoryEventLog::new());
    let backend = Backend::new(Arc::new(memory.clone()), chaos.around(events.clone()));
    let executor = Arc::new(Scripted { script, tenants: None });
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Worker::new(backend, executor, settings()).run(stop.clone()));
    let bench = Bench { memory, events, stop, worker };
    let (thread_id, run_id, _events) = bench.create().await;
    // Longer than all counted attempts take.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    chaos.calm();
    wait_for_status(&bench, thread_id, run_id, RunStatus::Success).await;
    bench.stop().await;
}

#[tokio::test]
async fn a_cancel_reaches_the_graph_and_the_stream_ends_silently() {
    for action in [CancelAction::Interrupt, CancelAction::Rollback] {
        let bench = Bench::start_async(settings(), until_cancelled);
        let (thread_id, run_id, events) = bench.create().await;
        wait_for_status(&bench, thread_id, run_id, RunStatus::Running).await;
        let request = CancelRequest { action, reason: "by the test".to_owned() };
        bench.memory.cancel(&Scope::default(), thread_id, run_id, request).await.unwrap();
        assert_eq!(names(&events.await.unwrap()), ["metadata", "values"]);
        let thread = bench.memory.thread(&Scope::default(), thread_id).await.unwrap().unwrap();
        let error: RunError = thread.error.unwrap().decode().unwrap();
        assert_eq!((error.error.as_str(), error.message.as_str()), (action.error_class(), "by the test"));
        match action {
            CancelAction::Interrupt => {
                assert_eq!(bench.row(thread_id, run_id).await.unwrap().status, RunStatus::Interrupted);
            }
            CancelAction::Rollback => assert!(bench.row(thread_id, run_id).await.is_none()),
        }
        bench.stop().await;
    }
}

#[tokio::test]
async fn a_run_that_takes_too_long_times_out() {
    let settings = settings().with_run_timeout(Duration::from_millis(50));
    let bench = Bench::start_async(settings, until_cancelled);
    let (thread_id, run_id, events) = bench.create().await;
    let events = events.await.unwrap();
    assert_eq!(names(&events), ["metadata", "values", "error"]);
    assert_eq!(bench.row(thread_id, run_id).await.unwrap().status, RunStatus::Timeout);
    bench.stop().await;
}

#[tokio::test]
async fn a_worker_that_stops_hands_back_what_does_not_end_in_time() {
    let bench = Bench::start_async(settings(), until_cancelled);
    let (thread_id, run_id, _) = bench.create().await;
    wait_for_status(&bench, thread_id, run_id, RunStatus::Running).await;
    let memory = bench.memory.clone();
    bench.stop().await;
    let row = memory.run(&Scope::default(), thread_id, run_id).await.unwrap().unwrap();
    assert_eq!((row.status, row.attempt), (RunStatus::Pending, 1));
}

#[tokio::test]
async fn a_long_run_keeps_its_lease() {
    let started = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&started);
    let bench = Bench::start_async(settings(), move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        async {
            let end = async {
                tokio::time::sleep(Duration::from_millis(1200)).await;
                done(result(RunResultStatus::Success))
            };
            Ok(end.into_stream().boxed())
        }
        .boxed()
    });
    let (thread_id, run_id, events) = bench.create().await;
    events.await.unwrap();
    assert_eq!(started.load(Ordering::SeqCst), 1, "executed once, although it took four times its lease");
    assert_eq!(bench.row(thread_id, run_id).await.unwrap().status, RunStatus::Success);
    bench.stop().await;
}

#[tokio::test]
async fn no_more_runs_than_slots_execute_at_once() {
    let (now, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let peak = Arc::clone(&most);
    let bench = Bench::start_async(settings().with_concurrency(3), move |_| {
        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
        async move {
            let end = async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(20)).await;
                now.fetch_sub(1, Ordering::SeqCst);
                done(result(RunResultStatus::Success))
            };
            Ok(end.into_stream().boxed())
        }
        .boxed()
    });
    let mut runs = Vec::new();
    for _ in 0..12 {
        runs.push(bench.create().await);
    }
    for (thread_id, run_id, events) in runs {
        events.await.unwrap();
        assert_eq!(bench.row(thread_id, run_id).await.unwrap().status, RunStatus::Success);
    }
    assert_eq!(peak.load(Ordering::SeqCst), 3);
    bench.stop().await;
}

async fn wait_for_status(bench: &Bench, thread_id: ThreadId, run_id: RunId, status: RunStatus) {
    loop {
        if bench.row(thread_id, run_id).await.is_some_and(|run| run.status == status) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_delayed_run_starts_when_the_queues_clock_says_so() {
    let clock = Arc::new(langopen_core::clock::ManualClock::new(SystemClock.now()));
    let memory = Memory::with_clock(clock.clone());
    let events = Arc::new(MemoryEventLog::new());
    let script: Script =
        Arc::new(|_| async { Ok(stream::iter([done(result(RunResultStatus::Success))]).boxed()) }.boxed());
    let executor = Scripted { script, tenants: None };
    let backend = Backend::new(Arc::new(memory.clone()), events.clone()).with_clock(clock.clone());
    let executor = Arc::new(executor);
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Worker::new(backend, executor, settings()).run(stop.clone()));
    let bench = Bench { memory, events, stop, worker };
    let hour = Duration::from_secs(3600);
    let (thread_id, run_id, events) = bench.create_at(clock.now().plus(hour)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(bench.row(thread_id, run_id).await.unwrap().status, RunStatus::Pending);
    clock.advance(hour);
    assert_eq!(names(&events.await.unwrap()), ["metadata"]);
    assert_eq!(bench.row(thread_id, run_id).await.unwrap().status, RunStatus::Success);
    bench.stop().await;
}
