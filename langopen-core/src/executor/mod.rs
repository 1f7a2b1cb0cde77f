//! The trait for the parts that execute graphs: a Python process, a remote runner, or plain Rust.

mod attempt_lost;
mod context;
mod quiet;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::error::Result;
use crate::json::{JsonMap, RawJson};
use crate::model::{CancelRequest, Run, RunError, ThreadStatus};
use crate::queue::Lease;
use crate::tenant::Tenant;

pub use attempt_lost::{AttemptLost, Blame};
pub use context::ExecutionContext;
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

/// A request to a graph, outside of a run.
///
/// Documents are JSON as on the wire. A `config` is a runnable config with `configurable.thread_id`, and with
/// `checkpoint_ns` and `checkpoint_id` where the request names a checkpoint.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "method", content = "params")]
#[expect(missing_docs, reason = "the fields are those of the wire")]
pub enum GraphCall {
    /// Answers a ThreadState with the additional key `__thread__`: a [`StateSummary`].
    #[serde(rename = "state.get")]
    GetState { graph_id: String, config: RawJson, subgraphs: bool },
    /// Answers an array of ThreadState, newest first.
    #[serde(rename = "state.history")]
    StateHistory { graph_id: String, config: RawJson, limit: u32, before: Option<RawJson>, metadata: Option<RawJson> },
    /// Answers `{checkpoint, state}`, with the state as in `state.get`.
    #[serde(rename = "state.update")]
    UpdateState { graph_id: String, config: RawJson, values: RawJson, as_node: Option<String> },
    /// Answers `{checkpoint, state}`, with the state as in `state.get`.
    #[serde(rename = "state.bulk_update")]
    BulkUpdateState { graph_id: String, config: RawJson, supersteps: RawJson },
    /// Answers `{input_schema, output_schema, state_schema, config_schema, context_schema}`.
    #[serde(rename = "graph.schemas")]
    Schemas { graph_id: String, config: RawJson },
    /// Answers `{nodes, edges}`; `xray` is `false`, `true` or a depth.
    #[serde(rename = "graph.draw")]
    Draw { graph_id: String, config: RawJson, xray: RawJson },
    /// Answers `{namespace: schemas}`.
    #[serde(rename = "graph.subgraphs")]
    Subgraphs { graph_id: String, config: RawJson, namespace: Option<String>, recurse: bool },
}

impl GraphCall {
    /// The graph that the call is for.
    pub fn graph_id(&self) -> &str {
        match self {
            Self::GetState { graph_id, .. }
            | Self::StateHistory { graph_id, .. }
            | Self::UpdateState { graph_id, .. }
            | Self::BulkUpdateState { graph_id, .. }
            | Self::Schemas { graph_id, .. }
            | Self::Draw { graph_id, .. }
            | Self::Subgraphs { graph_id, .. } => graph_id,
        }
    }
}

/// The part of a state answer that updates the thread's row: the additional key `__thread__` of the ThreadState.
#[derive(Debug, Clone, Deserialize)]
pub struct StateSummary {
    /// The thread's status, according to this state.
    pub status: ThreadStatus,
    /// Open interrupts by task id.
    pub interrupts: RawJson,
    /// The checkpoint that the state describes.
    pub checkpoint_id: Option<String>,
}

/// Executes runs and answers calls about graphs.
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

    /// Answers a call about a graph or the state of one of its threads, as JSON.
    ///
    /// # Errors
    /// - `Graph`: the graph rejects the input.
    /// - `NotFound`: the executor does not offer the graph.
    /// - `Unsupported`: the executor does not support the call.
    async fn call(&self, context: ExecutionContext, call: GraphCall) -> Result<RawJson>;
}
