//! What runs graphs: a Python process, a remote runner, or plain Rust.

mod attempt_lost;
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
use crate::storage::Storage;
use crate::tenant::{Scope, Tenant};

pub use attempt_lost::{AttemptLost, Blame};
pub use quiet::a_quiet_round;

/// The name of a graph's start node, as states and drawings show it.
pub const START: &str = "__start__";
/// The name of a graph's end node, as states and drawings show it.
pub const END: &str = "__end__";

/// A graph that an executor offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphInfo {
    /// Its id, as assistants name it.
    pub graph_id: String,
    /// Its own name, or the id.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// The config of its system assistant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<JsonMap>,
}

/// What an executor may reach while it works for a caller: that scope of the storage, and nothing else.
#[derive(Clone)]
pub struct ExecutionContext {
    /// Where checkpoints and store items are kept.
    pub storage: Arc<dyn Storage>,
    /// Which rows.
    pub scope: Scope,
}

/// A run to execute.
#[derive(Clone)]
pub struct RunJob {
    /// The run; its `attempt` is the current one. On an attempt above 1, execution goes on from the run's last checkpoint if there is one.
    pub run: Run,
    /// Whether its thread has no checkpoints.
    pub fresh_thread: bool,
    /// Whether a host may have died of this run in an earlier attempt. An executor whose hosts execute several runs then executes this one in a host of its
    /// own, so that no other run dies with it.
    pub suspect: bool,
    /// What it may reach.
    pub context: ExecutionContext,
    /// Becomes `Some` when the run must end now.
    pub cancel: watch::Receiver<Option<CancelRequest>>,
}

/// What a run says while it executes.
#[derive(Debug, Clone)]
pub enum RunOutput {
    /// An event for the run's readers.
    Event {
        /// Its name, e.g. `values`.
        name: Arc<str>,
        /// Its data: JSON text on one line.
        data: Bytes,
    },
    /// The end. Nothing follows.
    Done(Box<RunResult>),
}

/// How an execution ended.
#[derive(Debug, Clone)]
pub struct RunResult {
    /// The outcome.
    pub status: RunResultStatus,
    /// What the thread is now, from its state.
    pub thread_status: ThreadStatus,
    /// The failure as clients may see it.
    pub error: Option<RunError>,
    /// The failure for the log alone.
    pub detail: Option<String>,
    /// Whether another attempt may succeed: the failure was the platform's, not the graph's.
    pub retryable: bool,
    /// Open interrupts by task id, a JSON object.
    pub interrupts: RawJson,
    /// The thread's latest state, if the executor knows it.
    pub state: Option<ResultState>,
}

/// The thread's state at the end of an execution.
#[derive(Debug, Clone)]
pub struct ResultState {
    /// The root checkpoint; `None` for a run that keeps no checkpoints.
    pub checkpoint_id: Option<String>,
    /// The values.
    pub values: RawJson,
    /// An object: the ThreadState of the wire without its `values`.
    pub rest: RawJson,
}

/// How an execution ended, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunResultStatus {
    /// The graph came to its end or to an interrupt.
    Success,
    /// It failed.
    Error,
    /// It stopped because of a cancel.
    Cancelled,
}

/// A question to a graph, outside of a run.
///
/// Documents are JSON as the wire shows them; a `config` is a runnable config with `configurable.thread_id` and, where it matters,
/// `checkpoint_ns` and `checkpoint_id`.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "method", content = "params")]
#[expect(missing_docs, reason = "the fields are those of the wire")]
pub enum GraphCall {
    /// Answers a ThreadState with the key `__thread__` beside its own: a [`StateSummary`].
    #[serde(rename = "state.get")]
    GetState { graph_id: String, config: RawJson, subgraphs: bool },
    /// Answers an array of ThreadState, newest first.
    #[serde(rename = "state.history")]
    StateHistory { graph_id: String, config: RawJson, limit: u32, before: Option<RawJson>, metadata: Option<RawJson> },
    /// Answers `{checkpoint, state}`, the state as of `state.get`.
    #[serde(rename = "state.update")]
    UpdateState { graph_id: String, config: RawJson, values: RawJson, as_node: Option<String> },
    /// Answers `{checkpoint, state}`, the state as of `state.get`.
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
    /// The graph that is asked.
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

/// The part of a state answer that updates the thread's row: the key `__thread__` beside those of the ThreadState.
#[derive(Debug, Clone, Deserialize)]
pub struct StateSummary {
    /// What the thread is, from this state.
    pub status: ThreadStatus,
    /// Open interrupts by task id.
    pub interrupts: RawJson,
    /// The checkpoint that it describes.
    pub checkpoint_id: Option<String>,
}

/// Runs graphs.
#[async_trait]
pub trait Executor: Send + Sync + 'static {
    /// The graphs that it offers.
    async fn graphs(&self) -> Result<Vec<GraphInfo>>;

    /// The tenants whose runs it can execute now, in any order; `None` for those of all. Runs of others are not claimed for it.
    fn tenants(&self) -> Option<Vec<Tenant>> {
        None
    }

    /// Executes a run. The stream yields events in order and ends with exactly one [`RunOutput::Done`]; a stream that ends without one, or with an error
    /// item, means that the executor lost the run, and another attempt is made. The stream is polled only as fast as events can be kept: an
    /// executor must hold the graph back rather than buffer without bound; and after it was pending, it is polled again only when all that came before
    /// is kept. Dropping the stream stops the execution.
    ///
    /// An executor that knows why it lost the run says so with an [`AttemptLost`] as the error's source. The worker then retries runs that did not cause the
    /// loss without counting the attempt.
    ///
    /// When `job.cancel` becomes `Some`, the execution must stop as soon as it can, with status `Cancelled`.
    async fn execute(&self, job: RunJob) -> Result<BoxStream<'static, Result<RunOutput>>>;

    /// Answers a question about a graph or the state of one of its threads, as JSON.
    ///
    /// # Errors
    /// `Graph` when the graph refuses the input, `NotFound` for a graph it does not offer, `Unsupported` for what it cannot do.
    async fn call(&self, context: ExecutionContext, call: GraphCall) -> Result<RawJson>;
}
