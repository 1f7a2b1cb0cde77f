//! The trait for the parts that execute graphs: a Python process, a remote runner, or plain Rust.

mod attempt_lost;
mod context;
mod graph;
mod quiet;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::error::{Error, ErrorKind, Result};
use crate::json::{JsonMap, RawJson};
use crate::model::{CancelRequest, Run, RunError, ThreadStatus};
use crate::queue::Lease;
use crate::tenant::Tenant;

pub use attempt_lost::{AttemptLost, Blame};
pub use context::ExecutionContext;
pub use graph::{
    BulkUpdateRequest, DrawRequest, GraphDrawing, GraphSchemas, HistoryRequest, SchemasRequest, StateAnswer,
    StateRequest, StateSummary, Subgraphs, SubgraphsRequest, UpdateAnswer, UpdateRequest, Xray,
};
pub use quiet::a_quiet_round;

/// The name of a graph's start node, as states and drawings show it.
pub const START: &str = "__start__";
/// The name of a graph's end node, as states and drawings show it.
pub const END: &str = "__end__";

/// A graph that an executor offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphInfo {
    /// Its id, which assistants refer to.
    pub graph_id: String,
    /// Its own name, or the id.
    pub name: String,
    /// The description, for people.
    pub description: Option<String>,
    /// The config of its system assistant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<JsonMap>,
}

/// A run to execute.
#[derive(Clone)]
#[non_exhaustive]
pub struct RunJob {
    /// The run; its `attempt` is the current one. On an attempt above 1, execution continues from the run's last
    /// checkpoint, if there is one.
    pub run: Run,
    /// Whether its thread has no checkpoints.
    pub fresh_thread: bool,
    /// Whether the run may have ended a host in an earlier attempt. An executor whose hosts execute several runs must
    /// then use a separate host for this run, so that no other run fails with it.
    pub suspect: bool,
    /// The checkpoints and items that the execution may use. It binds the run's lease.
    pub context: ExecutionContext,
    /// Becomes `Some` when the run must end now.
    pub cancel: watch::Receiver<Option<CancelRequest>>,
}

impl RunJob {
    /// A run on a thread that may have checkpoints. The job's context carries the lease of the run's current attempt.
    pub fn new(run: Run, context: ExecutionContext, cancel: watch::Receiver<Option<CancelRequest>>) -> Self {
        let context = context.bound(Lease { run_id: run.run_id, attempt: run.attempt });
        Self { run, fresh_thread: false, suspect: false, context, cancel }
    }

    /// Sets [`RunJob::fresh_thread`].
    #[must_use]
    pub fn with_fresh_thread(mut self, fresh_thread: bool) -> Self {
        self.fresh_thread = fresh_thread;
        self
    }

    /// Sets [`RunJob::suspect`].
    #[must_use]
    pub fn with_suspect(mut self, suspect: bool) -> Self {
        self.suspect = suspect;
        self
    }
}

/// An item of the stream of an execution.
#[derive(Debug, Clone)]
pub enum RunOutput {
    /// An event for the run's readers.
    Event {
        /// Its name, e.g. `values`.
        name: Arc<str>,
        /// Its data: JSON text on one line.
        data: Bytes,
    },
    /// The result. It is the last item.
    Done(Box<RunResult>),
}

/// How an execution ended.
#[derive(Debug, Clone)]
pub struct RunResult {
    /// The outcome.
    pub status: RunResultStatus,
    /// The thread's status, according to its state.
    pub thread_status: ThreadStatus,
    /// The failure as clients may see it.
    pub error: Option<RunError>,
    /// The failure's details, for the log only.
    pub detail: Option<String>,
    /// Whether another attempt may succeed, because the platform failed and not the graph.
    pub retryable: bool,
    /// Open interrupts by task id: a JSON object.
    pub interrupts: RawJson,
    /// The thread's latest state, if the executor knows it.
    pub state: Option<ResultState>,
}

/// The thread's state at the end of an execution.
#[derive(Debug, Clone)]
pub struct ResultState {
    /// The root checkpoint; `None` for a run without checkpoints.
    pub checkpoint_id: Option<String>,
    /// The state's values.
    pub values: RawJson,
    /// A JSON object: the ThreadState of the wire without its `values`.
    pub rest: RawJson,
}

/// The outcome of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunResultStatus {
    /// The graph reached its end or an interrupt.
    Success,
    /// The execution failed.
    Error,
    /// The execution stopped because of a cancel.
    Cancelled,
}

/// Executes runs and answers questions about graphs.
///
/// Only [`graphs`](Executor::graphs) and [`execute`](Executor::execute) are required. The other methods answer
/// `Unsupported` unless you implement them; implement those that your graphs can answer. Each has its own request and
/// answer type, so a new question is one more method with a default, and existing executors still compile.
#[async_trait]
pub trait Executor: Send + Sync + 'static {
    /// The graphs that the executor offers.
    async fn graphs(&self) -> Result<Vec<GraphInfo>>;

    /// The tenants whose runs the executor can execute now, in any order; `None` for all tenants. The worker claims no
    /// runs of other tenants for it.
    fn tenants(&self) -> Option<Vec<Tenant>> {
        None
    }

    /// Executes a run and returns the stream of its outputs.
    ///
    /// The executor promises:
    /// - Order: the stream yields events in order and ends with exactly one [`RunOutput::Done`].
    /// - Loss: a stream that ends without `Done`, or with an error item, means that the executor lost the run. The
    ///   worker then makes another attempt. If the executor knows the cause, the error's source is an [`AttemptLost`].
    ///   The worker does not count the lost attempt if the run did not cause the loss.
    /// - Backpressure: the executor slows the graph down instead of buffering without bound.
    /// - Cancel: when `job.cancel` becomes `Some`, the execution stops as soon as it can, with status `Cancelled`.
    /// - Drop: dropping the stream stops the execution.
    ///
    /// The caller promises:
    /// - It polls the stream only as fast as it can store the events.
    /// - After the stream was pending, it polls again only when it has stored every earlier event.
    async fn execute(&self, job: RunJob) -> Result<BoxStream<'static, Result<RunOutput>>>;

    /// The state of a thread.
    ///
    /// # Errors
    /// - `Graph`: the graph rejects the request.
    /// - `NotFound`: the executor does not offer the graph.
    /// - `Unsupported`: the executor does not answer these requests.
    ///
    /// All the following methods have the same errors.
    async fn get_state(&self, context: ExecutionContext, request: StateRequest) -> Result<StateAnswer> {
        unsupported("executor.get_state", (context, request))
    }

    /// Earlier states of a thread, latest first. Each is a ThreadState of the wire.
    async fn state_history(&self, context: ExecutionContext, request: HistoryRequest) -> Result<Vec<RawJson>> {
        unsupported("executor.state_history", (context, request))
    }

    /// Updates the state of a thread, as if a node had made the update.
    async fn update_state(&self, context: ExecutionContext, request: UpdateRequest) -> Result<UpdateAnswer> {
        unsupported("executor.update_state", (context, request))
    }

    /// Updates the state of a thread in several supersteps.
    async fn bulk_update_state(&self, context: ExecutionContext, request: BulkUpdateRequest) -> Result<UpdateAnswer> {
        unsupported("executor.bulk_update_state", (context, request))
    }

    /// The schemas of a graph.
    async fn schemas(&self, context: ExecutionContext, request: SchemasRequest) -> Result<GraphSchemas> {
        unsupported("executor.schemas", (context, request))
    }

    /// The drawing of a graph.
    async fn draw(&self, context: ExecutionContext, request: DrawRequest) -> Result<GraphDrawing> {
        unsupported("executor.draw", (context, request))
    }

    /// The schemas of a graph's subgraphs.
    async fn subgraphs(&self, context: ExecutionContext, request: SubgraphsRequest) -> Result<Subgraphs> {
        unsupported("executor.subgraphs", (context, request))
    }
}

/// The answer of an executor that does not implement a method.
fn unsupported<T, R>(operation: &'static str, _: R) -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, operation, "this executor executes runs, but does not answer this request"))
}
