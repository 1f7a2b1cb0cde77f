//! An executor over plain async functions: agents written in Rust, with no other process anywhere.

mod context;
mod state;
#[cfg(test)]
#[cfg(feature = "memory")]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use serde_json::Value;
use tokio::sync::mpsc;

use super::{ExecutionContext, Executor, GraphCall, GraphInfo, RunJob, RunOutput, RunResult, RunResultStatus};
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, ErrorKind, Result};
use crate::json::{JsonMap, RawJson};
use crate::model::{RunError, ThreadStatus};

pub use context::FunctionContext;

/// How many events a run may be ahead of its readers.
const EVENTS_AHEAD: usize = 64;

type Function = Arc<dyn Fn(FunctionContext) -> BoxFuture<'static, Result<Value>> + Send + Sync>;

struct Graph {
    info: GraphInfo,
    function: Function,
    appending: BTreeSet<String>,
}

/// Runs async functions as graphs of one step.
///
/// A function gets the run's input and the thread's values, and returns an object that is merged into them: key by key, replacing what was there, or
/// appending to it for the keys named with [`FunctionExecutor::append`]. The thread keeps one checkpoint per run, so state, history and state updates work.
///
/// ```
/// use langopen_core::executor::FunctionExecutor;
/// use serde_json::json;
///
/// let executor = FunctionExecutor::new()
///     .graph("echo", |run| async move {
///         run.custom(&json!({"heard": run.input()})).await?;
///         Ok(json!({"messages": [{"type": "ai", "content": "I heard you."}]}))
///     })
///     .append("echo", "messages");
/// # let _ = executor;
/// ```
#[derive(Clone)]
pub struct FunctionExecutor {
    graphs: Arc<BTreeMap<String, Graph>>,
    clock: Arc<dyn Clock>,
}

impl Default for FunctionExecutor {
    fn default() -> Self {
        Self { graphs: Arc::default(), clock: Arc::new(SystemClock) }
    }
}

impl Clone for Graph {
    fn clone(&self) -> Self {
        Self { info: self.info.clone(), function: self.function.clone(), appending: self.appending.clone() }
    }
}

impl FunctionExecutor {
    /// An executor without graphs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads time from `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Adds a graph; the same id again replaces it.
    #[must_use]
    pub fn graph<F, R>(mut self, graph_id: &str, function: F) -> Self
    where
        F: Fn(FunctionContext) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Value>> + Send + 'static,
    {
        let info = GraphInfo { graph_id: graph_id.to_owned(), name: graph_id.to_owned(), description: None };
        let function: Function = Arc::new(move |context| function(context).boxed());
        let graph = Graph { info, function, appending: BTreeSet::new() };
        Arc::make_mut(&mut self.graphs).insert(graph_id.to_owned(), graph);
        self
    }

    /// Makes a key of a graph's values a list that grows: what a run gives for it, input too, is appended.
    #[must_use]
    pub fn append(mut self, graph_id: &str, key: &str) -> Self {
        if let Some(graph) = Arc::make_mut(&mut self.graphs).get_mut(graph_id) {
            graph.appending.insert(key.to_owned());
        }
        self
    }

    fn find(&self, graph_id: &str) -> Result<&Graph> {
        self.graphs.get(graph_id).ok_or_else(|| {
            Error::not_found(
                "executor.find",
                format!("there is no graph {graph_id:?}; add it with FunctionExecutor::graph"),
            )
        })
    }
}

impl Graph {
    fn merge(&self, values: &mut JsonMap, update: JsonMap) {
        for (key, new) in update {
            match (values.get_mut(&key), new) {
                (Some(Value::Array(held)), Value::Array(new)) if self.appending.contains(&key) => held.extend(new),
                (_, new) => {
                    values.insert(key, new);
                }
            }
        }
    }

    async fn run(&self, job: RunJob, clock: &dyn Clock, events: mpsc::Sender<RunOutput>) -> RunResult {
        let mut values = match state::latest_values(&job).await {
            Ok(values) => values,
            Err(error) => return failed(&error),
        };
        let mut context = FunctionContext::new(&job, events);
        if let Value::Object(input) = context.input().clone() {
            self.merge(&mut values, input);
        }
        context.values = Arc::new(values.clone());
        let mut cancel = job.cancel.clone();
        let function = async {
            context.emit("values", &values).await?;
            let update = (self.function)(context.clone()).await?;
            let Value::Object(update) = update else {
                return Err(Error::new(ErrorKind::Graph, "executor.run", "the function must return a JSON object"));
            };
            context.emit("updates", &serde_json::json!({ &self.info.graph_id: &update })).await?;
            self.merge(&mut values, update);
            context.emit("values", &values).await?;
            Ok(values)
        };
        let values = tokio::select! {
            values = function => values,
            Ok(_) = cancel.wait_for(Option::is_some) => return ended(RunResultStatus::Cancelled, ThreadStatus::Idle),
        };
        let mut result = ended(RunResultStatus::Success, ThreadStatus::Idle);
        match values {
            Err(error) => return failed(&error),
            Ok(values) => match state::keep(&job, clock, values).await {
                Ok(state) => result.state = Some(state),
                Err(error) => return failed(&error),
            },
        }
        result
    }
}

/// A function at work. It is polled by the stream of its outputs: it stops when the stream is dropped, and waits when nobody polls.
struct Execution {
    received: mpsc::Receiver<RunOutput>,
    function: Option<BoxFuture<'static, RunResult>>,
    result: Option<RunResult>,
}

impl Execution {
    async fn next(mut self) -> Option<(RunOutput, Self)> {
        if let Some(function) = &mut self.function {
            tokio::select! {
                biased;
                Some(output) = self.received.recv() => return Some((output, self)),
                result = function => self.result = Some(result),
            }
            self.function = None;
        }
        // What the function sent comes before its end; a task that it left behind is not waited for.
        match self.received.try_recv() {
            Ok(output) => Some((output, self)),
            Err(_) => self.result.take().map(|result| (RunOutput::Done(Box::new(result)), self)),
        }
    }
}

fn ended(status: RunResultStatus, thread_status: ThreadStatus) -> RunResult {
    let interrupts = RawJson::from(Value::Object(JsonMap::new()));
    RunResult { status, thread_status, error: None, detail: None, retryable: false, interrupts, state: None }
}

fn failed(error: &Error) -> RunResult {
    RunResult {
        error: Some(RunError { error: "Error".to_owned(), message: error.message().to_owned() }),
        detail: Some(error.to_string()),
        retryable: error.is_retryable(),
        ..ended(RunResultStatus::Error, ThreadStatus::Error)
    }
}

#[async_trait]
impl Executor for FunctionExecutor {
    async fn graphs(&self) -> Result<Vec<GraphInfo>> {
        Ok(self.graphs.values().map(|graph| graph.info.clone()).collect())
    }

    async fn execute(&self, job: RunJob) -> Result<BoxStream<'static, Result<RunOutput>>> {
        let graph = self.find(&job.run.graph_id)?.clone();
        let clock = self.clock.clone();
        let (events, received) = mpsc::channel(EVENTS_AHEAD);
        let function = async move { graph.run(job, clock.as_ref(), events).await };
        let execution = Execution { received, function: Some(function.boxed()), result: None };
        Ok(futures::stream::unfold(execution, Execution::next).map(Ok).boxed())
    }

    async fn call(&self, context: ExecutionContext, call: GraphCall) -> Result<RawJson> {
        let graph = self.find(call.graph_id())?;
        state::answer(graph, self.clock.as_ref(), &context, call).await
    }
}
