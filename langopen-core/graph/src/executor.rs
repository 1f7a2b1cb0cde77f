//! The executor: runs and calls for a set of graphs.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use langopen_core::clock::{Clock, SystemClock};
use langopen_core::error::{Error, Result};
use langopen_core::executor::{
    BulkUpdateRequest, DrawRequest, ExecutionContext, Executor, GraphDrawing, GraphInfo, GraphSchemas, HistoryRequest,
    ResultState, RunJob, RunOutput, RunResult, RunResultStatus, SchemasRequest, StateAnswer, StateRequest, Subgraphs,
    SubgraphsRequest, UpdateAnswer, UpdateRequest, Xray, a_quiet_round,
};
use langopen_core::json::{JsonMap, RawJson};
use langopen_core::model::{CancelRequest, ThreadStatus};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};

use super::Graph;
use super::error::{Cause, Interrupt, NodeError};
use super::run::Shared;
use super::snapshot::{Look, Reader};
use super::state;
use super::steps::{From, Given, Level, Progress};

/// The most events that a run may produce ahead of the stream's reader.
pub(crate) const EVENTS_AHEAD: usize = 64;

/// The purpose for which a factory makes a graph; see [`GraphExecutor::factory`].
#[non_exhaustive]
pub struct GraphRequest<'a> {
    /// The runnable config of the run, or of the thread in a call.
    pub config: &'a Value,
    /// The purpose: `threads.create_run`, `threads.read`, `threads.update` or `assistants.read`.
    pub access: &'static str,
}

impl GraphRequest<'_> {
    /// Whether the graph is for the execution of a run.
    pub fn is_execution(&self) -> bool {
        self.access == "threads.create_run"
    }
}

type Cancel = watch::Receiver<Option<CancelRequest>>;
type Make = Arc<dyn Fn(&GraphRequest<'_>) -> Result<Graph> + Send + Sync>;

#[derive(Clone)]
struct Entry {
    info: GraphInfo,
    make: Make,
}

/// Executes [graphs](Graph) in this process.
#[derive(Clone)]
pub struct GraphExecutor {
    graphs: Arc<BTreeMap<String, Entry>>,
    clock: Arc<dyn Clock>,
}

impl Default for GraphExecutor {
    fn default() -> Self {
        Self { graphs: Arc::default(), clock: Arc::new(SystemClock) }
    }
}

impl GraphExecutor {
    /// Makes an executor without graphs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Adds a graph under its name. A graph with the same name is replaced.
    #[must_use]
    pub fn graph(self, graph: Graph) -> Self {
        let info = GraphInfo {
            graph_id: graph.name().to_owned(),
            name: graph.name().to_owned(),
            description: graph.description().map(str::to_owned),
            config: None,
        };
        self.offer(info, move |_| Ok(graph.clone()))
    }

    /// Adds a factory. It makes a new graph for each run and call, so the graph's shape may depend on the config.
    #[must_use]
    pub fn factory(
        self,
        graph_id: &str,
        make: impl Fn(&GraphRequest<'_>) -> Result<Graph> + Send + Sync + 'static,
    ) -> Self {
        let info =
            GraphInfo { graph_id: graph_id.to_owned(), name: graph_id.to_owned(), description: None, config: None };
        self.offer(info, make)
    }

    fn offer(
        mut self,
        info: GraphInfo,
        make: impl Fn(&GraphRequest<'_>) -> Result<Graph> + Send + Sync + 'static,
    ) -> Self {
        let entry = Entry { info, make: Arc::new(make) };
        Arc::make_mut(&mut self.graphs).insert(entry.info.graph_id.clone(), entry);
        self
    }

    fn make(&self, graph_id: &str, config: &Value, access: &'static str) -> Result<Graph> {
        let entry = self.graphs.get(graph_id).ok_or_else(|| {
            Error::not_found("executor.find", format!("there is no graph {graph_id:?}; add it to the executor"))
        })?;
        (entry.make)(&GraphRequest { config, access })
    }

    /// Makes the graph for a question.
    fn open(&self, graph_id: &str, config: &RawJson, access: &'static str) -> Result<Graph> {
        self.make(graph_id, &config.decode().unwrap_or_default(), access)
    }
}

#[async_trait]
impl Executor for GraphExecutor {
    async fn graphs(&self) -> Result<Vec<GraphInfo>> {
        Ok(self.graphs.values().map(|entry| entry.info.clone()).collect())
    }

    async fn execute(&self, job: RunJob) -> Result<BoxStream<'static, Result<RunOutput>>> {
        let (events, received) = mpsc::channel(EVENTS_AHEAD);
        let (marks, asked) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::new(&job, self.clock.clone(), events, marks));
        let graph = self.make(&job.run.graph_id, &shared.config, "threads.create_run")?;
        let work = work(graph, shared, job).boxed();
        let execution = Execution { received, asked, marks: Vec::new(), work: Some(work), result: None };
        Ok(futures::stream::unfold(execution, Execution::next).map(Ok).boxed())
    }

    async fn get_state(&self, context: ExecutionContext, request: StateRequest) -> Result<StateAnswer> {
        let graph = self.open(&request.graph_id, &request.config, "threads.read")?;
        state::get(&graph, &context, &request).await
    }

    async fn state_history(&self, context: ExecutionContext, request: HistoryRequest) -> Result<Vec<RawJson>> {
        let graph = self.open(&request.graph_id, &request.config, "threads.read")?;
        state::history(&graph, &context, request).await
    }

    async fn update_state(&self, context: ExecutionContext, request: UpdateRequest) -> Result<UpdateAnswer> {
        let graph = self.open(&request.graph_id, &request.config, "threads.update")?;
        state::update(&graph, self.clock.as_ref(), &context, request).await
    }

    async fn bulk_update_state(&self, context: ExecutionContext, request: BulkUpdateRequest) -> Result<UpdateAnswer> {
        let graph = self.open(&request.graph_id, &request.config, "threads.update")?;
        state::bulk_update(&graph, self.clock.as_ref(), &context, request).await
    }

    async fn schemas(&self, _: ExecutionContext, request: SchemasRequest) -> Result<GraphSchemas> {
        Ok(self.open(&request.graph_id, &request.config, "assistants.read")?.schemas())
    }

    async fn draw(&self, _: ExecutionContext, request: DrawRequest) -> Result<GraphDrawing> {
        let depth = match request.xray {
            Xray::Off => 0,
            Xray::Levels(levels) => levels,
            Xray::All => u32::MAX,
        };
        Ok(self.open(&request.graph_id, &request.config, "assistants.read")?.drawing(depth))
    }

    async fn subgraphs(&self, _: ExecutionContext, request: SubgraphsRequest) -> Result<Subgraphs> {
        let graph = self.open(&request.graph_id, &request.config, "assistants.read")?;
        Ok(graph.subgraphs(request.namespace.as_deref(), request.recurse))
    }
}

/// A running execution. The stream of its outputs polls it: it stops when the stream is dropped, and pauses while the
/// stream is not polled.
struct Execution {
    received: mpsc::Receiver<RunOutput>,
    asked: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
    /// The waiters for the storage of all earlier events.
    marks: Vec<oneshot::Sender<()>>,
    work: Option<BoxFuture<'static, RunResult>>,
    result: Option<RunResult>,
}

impl Execution {
    async fn next(mut self) -> Option<(RunOutput, Self)> {
        while let Some(work) = &mut self.work {
            tokio::select! {
                biased;
                Some(output) = self.received.recv() => return Some((output, self)),
                Some(mark) = self.asked.recv() => self.marks.push(mark),
                () = a_quiet_round(), if !self.marks.is_empty() => {
                    for mark in self.marks.drain(..) {
                        // The waiter may have been dropped.
                        let _ = mark.send(());
                    }
                }
                result = work => {
                    self.result = Some(result);
                    self.work = None;
                }
            }
        }
        // Events come before the result. The execution does not wait for tasks that the graph left behind.
        match self.received.try_recv() {
            Ok(output) => Some((output, self)),
            Err(_) => self.result.take().map(|result| (RunOutput::Done(Box::new(result)), self)),
        }
    }
}

/// The end of a run without a failure. A temporary run has no checkpoints, so this holds its last values and open
/// questions.
#[derive(Default)]
struct Last {
    values: Option<Value>,
    interrupts: Vec<Value>,
}

/// Executes a run from its input to its result.
async fn work(graph: Graph, shared: Arc<Shared>, job: RunJob) -> RunResult {
    let (mut result, last) = match steps(&graph, &shared, job.cancel).await {
        Ok(Some(last)) => (ended(RunResultStatus::Success), last),
        Ok(None) => (ended(RunResultStatus::Cancelled), Last::default()),
        Err(error) => (failed(&error), Last::default()),
    };
    if shared.run.temporary {
        if !last.interrupts.is_empty() {
            result.thread_status = ThreadStatus::Interrupted;
        }
        result.state = last.values.map(|values| temporary(values, last.interrupts));
        return closed(&shared, result).await;
    }
    let root = Reader { context: &shared.storage, graph, thread_id: shared.run.thread_id, namespace: String::new() };
    match final_state(&root).await {
        Ok((state, interrupts, waits)) => {
            if waits && result.status != RunResultStatus::Error {
                result.thread_status = ThreadStatus::Interrupted;
            }
            result.interrupts = interrupts;
            result.state = Some(state);
        }
        Err(error) if result.status != RunResultStatus::Error => result = failed(&error.into()),
        Err(_) => {}
    }
    closed(&shared, result).await
}

/// Sends the last events of a run.
async fn closed(shared: &Shared, result: RunResult) -> RunResult {
    let status = match (result.status, result.thread_status) {
        (RunResultStatus::Error | RunResultStatus::Cancelled, _) => "failed",
        (_, ThreadStatus::Interrupted) => "interrupted",
        _ => "completed",
    };
    match shared.emitter.close(status).await {
        Ok(()) => result,
        Err(error) => failed(&error.into()),
    }
}

/// Runs the root graph from where an earlier attempt stopped. Returns `None` if the run was cancelled.
async fn steps(graph: &Graph, shared: &Arc<Shared>, mut cancel: Cancel) -> Result<Option<Last>, NodeError> {
    let root = |from| Level::open(shared, graph, String::new(), JsonMap::new(), from);
    let mut given = shared.given(graph.0.open);
    let mut level = root(if shared.fresh_thread { From::Nothing } else { From::Named }).await?;
    if shared.run.attempt > 1 && !shared.run.temporary {
        let newest = root(From::Newest).await?;
        match newest.progress() {
            Progress::None => {}
            Progress::Started => (level, given) = (newest, Given::Nothing),
            Progress::Finished => return Ok(Some(Last::default())),
        }
    }
    let input = shared.kwargs.get("input").cloned().unwrap_or_default();
    shared.send_graph_event(graph, "on_chain_start", json!({"input": input})).await?;
    let ran = tokio::select! {
        biased;
        Ok(_) = cancel.wait_for(Option::is_some) => None,
        outcome = level.run(given, shared.resumes()) => Some(outcome),
    };
    let Some(outcome) = ran else {
        if shared.stores_end() {
            level.store_end().await?;
        }
        return Ok(None);
    };
    let interrupts = match outcome {
        Ok(values) => {
            shared.send_graph_event(graph, "on_chain_end", json!({"output": values, "input": input})).await?;
            Vec::new()
        }
        Err(NodeError(Cause::Interrupted(interrupts))) => interrupts,
        Err(error) => return Err(error),
    };
    let interrupts = interrupts.iter().map(Interrupt::shown).collect();
    Ok(Some(Last { values: shared.run.temporary.then(|| Value::Object(level.state())), interrupts }))
}

fn ended(status: RunResultStatus) -> RunResult {
    let interrupts = RawJson::from(json!({}));
    let thread_status = if status == RunResultStatus::Error { ThreadStatus::Error } else { ThreadStatus::Idle };
    RunResult { status, thread_status, error: None, detail: None, retryable: false, interrupts, state: None }
}

fn failed(error: &NodeError) -> RunResult {
    let mut result = ended(RunResultStatus::Error);
    if let NodeError(Cause::Failed(failure)) = error {
        result.error = Some(failure.public());
        result.detail = Some(failure.detail.clone());
        result.retryable = failure.retryable;
    }
    result
}

/// The state of a run without checkpoints.
fn temporary(values: Value, interrupts: Vec<Value>) -> ResultState {
    let mut rest = super::snapshot::nothing();
    rest.shift_remove("values");
    rest.insert("interrupts".to_owned(), interrupts.into());
    ResultState { checkpoint_id: None, values: RawJson::from(values), rest: RawJson::from(Value::Object(rest)) }
}

/// The thread's latest state, its open questions, and whether tasks are left.
async fn final_state(root: &Reader<'_>) -> Result<(ResultState, RawJson, bool)> {
    let saved = root.saved(None).await?;
    let mut state = root.document(saved.as_ref(), Look { now: true, subgraphs: false }).await?;
    let interrupts = root.open(saved.as_ref()).await?;
    let waits = state["next"].as_array().is_some_and(|next| !next.is_empty());
    let values = RawJson::from(state.shift_remove("values").unwrap_or_default());
    let checkpoint_id = state["checkpoint_id"].as_str().map(str::to_owned);
    let state = ResultState { checkpoint_id, values, rest: RawJson::from(Value::Object(state)) };
    Ok((state, RawJson::from(Value::Object(interrupts)), waits))
}
