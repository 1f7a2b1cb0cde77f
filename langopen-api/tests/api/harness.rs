//! A server with a worker, and a client for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, Request, StatusCode};
use langopen_api::{AgentServer, Settings};
use langopen_backends::memory::{Memory, MemoryEventLog};
use langopen_core::event_log::{LogKey, NewEvent};
use langopen_core::executor::{ExecutionContext, RunJob, RunOutput, RunResult, RunResultStatus};
use langopen_core::model::{CancelAction, CancelRequest, RunError, ThreadState, ThreadStatus};
use langopen_core::queue::{Claim, ClaimRequest, Outcome};
use langopen_core::{Backend, Error, ErrorKind, EventLog, Executor, Queue, RunId, RunStatus, Scope, Tenant};
use langopen_graph::FunctionExecutor;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt;

pub(crate) const NOWHERE: &str = "00000000-0000-4000-8000-000000000000";

/// An answer with its whole body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.text.trim_start()).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn detail(&self) -> String {
        self.json()["detail"].as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }
}

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) router: Router,
    pub(crate) events: Arc<MemoryEventLog>,
    pub(crate) memory: Arc<Memory>,
}

/// Graphs: `echo` appends to `log`, `slow` waits `ms` milliseconds, `fail` fails.
pub(crate) fn graphs() -> FunctionExecutor {
    FunctionExecutor::new()
        .graph("echo", |run| async move {
            run.custom(&json!({"heard": run.input()})).await?;
            Ok(json!({"log": ["echo"], "seen": run.config()["configurable"]}))
        })
        .append("echo", "log")
        .graph("slow", |run| async move {
            let ms = run.input()["ms"].as_u64().unwrap_or(50);
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Ok(json!({"log": ["slow"]}))
        })
        .append("slow", "log")
        .graph("fail", |_| async { Err(Error::new(ErrorKind::Graph, "test", "boom")) })
}

pub(crate) async fn server() -> Server {
    server_with(|server| server.with_settings(quick())).await
}

/// Settings with a short heartbeat.
pub(crate) fn quick() -> Settings {
    Settings::default().with_heartbeat(Duration::from_millis(60)).with_max_body_bytes(100_000)
}

pub(crate) async fn server_with(change: impl FnOnce(AgentServer) -> AgentServer) -> Server {
    server_of(graphs(), change).await
}

/// A server with these graphs.
pub(crate) async fn server_of(graphs: impl Executor, change: impl FnOnce(AgentServer) -> AgentServer) -> Server {
    serve(graphs, |events| events, change).await
}

/// A server that reads the worker's log through the log that `log` returns.
pub(crate) async fn server_over(
    log: impl FnOnce(Arc<MemoryEventLog>) -> Arc<dyn EventLog>,
    change: impl FnOnce(AgentServer) -> AgentServer,
) -> Server {
    serve(graphs(), log, change).await
}

async fn serve(
    graphs: impl Executor,
    log: impl FnOnce(Arc<MemoryEventLog>) -> Arc<dyn EventLog>,
    change: impl FnOnce(AgentServer) -> AgentServer,
) -> Server {
    let memory = Arc::new(Memory::new());
    let events = Arc::new(MemoryEventLog::new());
    let executor: Arc<dyn Executor> = Arc::new(graphs);
    let server = AgentServer::new(Backend::new(memory.clone(), log(events.clone())), executor.clone());
    let server = change(server);
    server.sync_system_assistants(&Tenant::default()).await.unwrap();
    tokio::spawn(work(memory.clone(), events.clone(), executor));
    Server { router: server.router(), events, memory }
}

impl Server {
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let response = self.open(method, path, headers, body).await;
        let (parts, body) = response.into_parts();
        let bytes = tokio::time::timeout(Duration::from_secs(10), to_bytes(body, usize::MAX)).await;
        let bytes = bytes.unwrap_or_else(|_| panic!("{method} {path} does not end")).unwrap();
        Answer { status: parts.status, headers: parts.headers, text: String::from_utf8_lossy(&bytes).into_owned() }
    }

    /// Sends a request and leaves the answer's body unread.
    pub(crate) async fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> axum::response::Response {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], Body::empty()).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, &[], body.to_string()).await
    }

    pub(crate) async fn thread(&self) -> String {
        let thread = self.post("/threads", json!({})).await.ok();
        thread["thread_id"].as_str().unwrap().to_owned()
    }

    /// Starts a run that stays in flight for `ms` milliseconds.
    pub(crate) async fn slow_run(&self, thread_id: &str, ms: u64) -> String {
        let body = json!({"assistant_id": "slow", "input": {"ms": ms}});
        let run = self.post(&format!("/threads/{thread_id}/runs"), body).await.ok();
        run["run_id"].as_str().unwrap().to_owned()
    }
}

/// The log of a run.
pub(crate) fn log(thread_id: &str, run_id: &str) -> LogKey {
    LogKey { thread_id: thread_id.parse().unwrap(), run_id: run_id.parse().unwrap() }
}

type Cancels = Arc<Mutex<HashMap<RunId, watch::Sender<Option<CancelRequest>>>>>;

/// Claims runs and executes each in its own task, until the test ends.
async fn work(memory: Arc<Memory>, events: Arc<MemoryEventLog>, executor: Arc<dyn Executor>) {
    let cancels: Cancels = Arc::default();
    let mut asked = memory.cancels();
    let known = cancels.clone();
    tokio::spawn(async move {
        while let Ok(signal) = asked.recv().await {
            if let Some(sender) = known.lock().get(&signal.run_id) {
                sender.send_replace(Some(signal.request));
            }
        }
    });
    loop {
        let claims = memory.claim(&ClaimRequest::new("test", 8, Duration::from_secs(60))).await.unwrap();
        for claim in claims.runs {
            let (sender, cancel) = watch::channel(claim.cancel.clone());
            cancels.lock().insert(claim.run.run_id, sender);
            tokio::spawn(execute(memory.clone(), events.clone(), executor.clone(), claim, cancel));
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

async fn execute(
    memory: Arc<Memory>,
    events: Arc<MemoryEventLog>,
    executor: Arc<dyn Executor>,
    claim: Claim,
    cancel: watch::Receiver<Option<CancelRequest>>,
) {
    let (run_id, resumable, lease) = (claim.run.run_id, claim.run.resumable, claim.lease());
    let log = LogKey { thread_id: claim.run.thread_id, run_id };
    let metadata = json!({"run_id": run_id, "attempt": claim.run.attempt}).to_string();
    let say = |name: &str, data: Bytes| events.append(log, 1, resumable, vec![NewEvent { name: name.into(), data }]);
    say("metadata", metadata.into()).await.unwrap();
    let context = ExecutionContext::new(memory.clone(), memory.clone(), Scope::tenant(claim.tenant.clone()));
    let job = RunJob::new(claim.run.clone(), context, cancel.clone()).with_fresh_thread(claim.fresh_thread);
    let mut outputs = executor.execute(job).await.unwrap();
    let mut result = None;
    while let Some(output) = outputs.next().await {
        match output.unwrap() {
            RunOutput::Event { name, data } => say(&name, data).await.unwrap(),
            RunOutput::Done(done) => result = Some(*done),
        }
    }
    let result = result.unwrap();
    let request = cancel.borrow().clone();
    if let (Some(error), None) = (&result.error, &request) {
        say("error", serde_json::to_vec(error).unwrap().into()).await.unwrap();
    }
    let finished = memory.finish(lease, outcome(result, request)).await;
    finished
        .map(|_| ())
        .or_else(|error| if error.kind() == ErrorKind::LeaseLost { Ok(()) } else { Err(error) })
        .unwrap();
    events.end(log).await.unwrap();
}

fn outcome(result: RunResult, request: Option<CancelRequest>) -> Outcome {
    let (mut state, mut values) = (None, None);
    if let Some(held) = result.state {
        match held.checkpoint_id {
            Some(checkpoint_id) => state = Some(ThreadState { checkpoint_id, values: held.values, rest: held.rest }),
            None => values = Some(held.values),
        }
    }
    let status = match result.status {
        RunResultStatus::Success => RunStatus::Success,
        RunResultStatus::Error => RunStatus::Error,
        RunResultStatus::Cancelled => RunStatus::Interrupted,
    };
    let cancelled = request.as_ref().filter(|_| status == RunStatus::Interrupted);
    let error = cancelled
        .map(|request| RunError { error: request.action.error_class().to_owned(), message: request.reason.clone() });
    Outcome {
        status,
        thread_status: if cancelled.is_some() { ThreadStatus::Idle } else { result.thread_status },
        error: error.or(result.error),
        interrupts: result.interrupts,
        state,
        values,
        rollback: cancelled.is_some_and(|request| request.action == CancelAction::Rollback),
    }
}
