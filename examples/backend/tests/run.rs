//! A run from its request to its end, on a worker and the run service over this backend.

use std::sync::Arc;
use std::time::Duration;

use backend::{MyBackend, MyEventLog};
use langopen_core::event_log::LogKey;
use langopen_core::model::{CheckpointList, MultitaskStrategy, NewRun, RunThread, ThreadStatus};
use langopen_core::run_service::RunRead;
use langopen_core::{AssistantId, Backend, Clock, JsonMap, RunId, RunStatus, Scope, SystemClock, ThreadId};
use langopen_graph::FunctionExecutor;
use langopen_worker::{Worker, WorkerSettings};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const MINUTE: Duration = Duration::from_secs(60);

fn new_run() -> NewRun {
    NewRun {
        run_id: RunId(Uuid::now_v7()),
        thread_id: ThreadId(Uuid::now_v7()),
        assistant_id: AssistantId::system("greeter"),
        graph_id: "greeter".to_owned(),
        metadata_base: JsonMap::new(),
        metadata_own: JsonMap::new(),
        kwargs: json!({"input": {"name": "Ada"}, "stream_mode": ["values"]}).into(),
        multitask_strategy: MultitaskStrategy::Enqueue,
        resumable: true,
        temporary: false,
        webhook: None,
        origin: Default::default(),
        available_at: SystemClock.now(),
        thread: RunThread { create: true, metadata: JsonMap::new(), config: JsonMap::new(), ttl: None },
        firing: None,
    }
}

#[tokio::test]
async fn a_worker_executes_a_run_over_this_backend() {
    let clock = Arc::new(SystemClock);
    let events = Arc::new(MyEventLog::new(clock.clone(), MINUTE));
    let backend = Backend::new(Arc::new(MyBackend::new(clock)), events);
    let greeter = FunctionExecutor::new().graph("greeter", |run| async move {
        let name = run.input()["name"].as_str().unwrap_or("stranger");
        Ok(json!({"greeting": format!("Hello, {name}!")}))
    });
    let stop = CancellationToken::new();
    let worker = Worker::new(backend.clone(), Arc::new(greeter), WorkerSettings::default());
    let worker = tokio::spawn(worker.run(stop.clone()));

    let (scope, new) = (Scope::default(), new_run());
    let log = LogKey { thread_id: new.thread_id, run_id: new.run_id };
    let stream = backend.events.begin(log).await.expect("the log of the new run");
    backend.runs().submit(&scope, new).await.expect("a new run");
    let mut reader = backend.runs().follow(&scope.tenant, log, true, MINUTE, stream);
    let mut names = Vec::new();
    while let Some(read) = reader.next().await {
        let RunRead::Events(events) = read else { panic!("the events of the run: {read:?}") };
        names.extend(events.into_iter().map(|event| event.name.to_string()));
    }
    assert_eq!(names.first().map(String::as_str), Some("metadata"), "{names:?}");
    assert!(names.iter().any(|name| name == "values"), "{names:?}");

    let run = backend.storage.run(&scope, log.thread_id, log.run_id).await.expect("read the run").expect("the run");
    assert_eq!((run.status, run.attempt), (RunStatus::Success, 1));
    let thread = backend.storage.thread(&scope, log.thread_id).await.expect("read the thread").expect("the thread");
    let values: Value = thread.values.expect("the thread has values").decode().expect("an object");
    assert_eq!((thread.status, &values["greeting"]), (ThreadStatus::Idle, &json!("Hello, Ada!")));
    let list = CheckpointList::default();
    let checkpoints = backend.storage.list_checkpoints(&scope, log.thread_id, &list).await.expect("list");
    assert!(!checkpoints.is_empty(), "the graph stores its steps");
    stop.cancel();
    worker.await.expect("the worker stops");
}
