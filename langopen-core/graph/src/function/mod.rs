//! An executor for plain async functions, the simplest agents in Rust.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use langopen_core::clock::Clock;
use langopen_core::error::Result;
use langopen_core::executor::{
    BulkUpdateRequest, DrawRequest, ExecutionContext, Executor, GraphDrawing, GraphInfo, GraphSchemas, HistoryRequest,
    RunJob, RunOutput, SchemasRequest, StateAnswer, StateRequest, Subgraphs, SubgraphsRequest, UpdateAnswer,
    UpdateRequest,
};
use langopen_core::json::RawJson;
use serde_json::Value;

use crate::{END, Graph, GraphExecutor, NodeContext, NodeError, START};

/// A run, as the function that executes it sees it.
pub type FunctionContext = NodeContext;

type Function = Arc<dyn Fn(FunctionContext) -> BoxFuture<'static, Result<Value>> + Send + Sync>;

/// Executes async functions as [graphs](crate::Graph) of one node.
///
/// A function reads the run's input and the thread's values, and returns a JSON object. Each key of the object replaces
/// the same key of these values. For the keys of [`FunctionExecutor::append`], the executor appends instead.
///
/// ```
/// use langopen_graph::FunctionExecutor;
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
#[derive(Clone, Default)]
pub struct FunctionExecutor {
    functions: BTreeMap<String, (Function, BTreeSet<String>)>,
    graphs: GraphExecutor,
}

impl FunctionExecutor {
    /// Makes an executor without graphs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.graphs = self.graphs.with_clock(clock);
        self
    }

    /// Adds a function as a graph. A graph with the same id is replaced.
    #[must_use]
    pub fn graph<F, R>(mut self, graph_id: &str, function: F) -> Self
    where
        F: Fn(FunctionContext) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Value>> + Send + 'static,
    {
        let function: Function = Arc::new(move |context| function(context).boxed());
        self.functions.insert(graph_id.to_owned(), (function, BTreeSet::new()));
        self.offer(graph_id)
    }

    /// Makes a key of a graph's values a growing list. The lists in inputs and results are appended to it.
    #[must_use]
    pub fn append(mut self, graph_id: &str, key: &str) -> Self {
        if let Some((_, appending)) = self.functions.get_mut(graph_id) {
            appending.insert(key.to_owned());
        }
        self.offer(graph_id)
    }

    /// Makes the graph of a function again. An invalid name causes an error only when the graph is used.
    fn offer(mut self, graph_id: &str) -> Self {
        let Some((function, appending)) = self.functions.get(graph_id).cloned() else { return self };
        let name = graph_id.to_owned();
        self.graphs = self.graphs.factory(graph_id, move |_| {
            let function = function.clone();
            let work = move |context| function(context).map(|done| done.map_err(NodeError::from));
            let builder = Graph::builder(&name).open().node(&name, work).edge(START, &name).edge(&name, END);
            appending.iter().fold(builder, |builder, key| builder.append(key)).build()
        });
        self
    }
}

#[async_trait]
impl Executor for FunctionExecutor {
    async fn graphs(&self) -> Result<Vec<GraphInfo>> {
        self.graphs.graphs().await
    }

    async fn execute(&self, job: RunJob) -> Result<BoxStream<'static, Result<RunOutput>>> {
        self.graphs.execute(job).await
    }

    async fn get_state(&self, context: ExecutionContext, request: StateRequest) -> Result<StateAnswer> {
        self.graphs.get_state(context, request).await
    }

    async fn state_history(&self, context: ExecutionContext, request: HistoryRequest) -> Result<Vec<RawJson>> {
        self.graphs.state_history(context, request).await
    }

    async fn update_state(&self, context: ExecutionContext, request: UpdateRequest) -> Result<UpdateAnswer> {
        self.graphs.update_state(context, request).await
    }

    async fn bulk_update_state(&self, context: ExecutionContext, request: BulkUpdateRequest) -> Result<UpdateAnswer> {
        self.graphs.bulk_update_state(context, request).await
    }

    async fn schemas(&self, context: ExecutionContext, request: SchemasRequest) -> Result<GraphSchemas> {
        self.graphs.schemas(context, request).await
    }

    async fn draw(&self, context: ExecutionContext, request: DrawRequest) -> Result<GraphDrawing> {
        self.graphs.draw(context, request).await
    }

    async fn subgraphs(&self, context: ExecutionContext, request: SubgraphsRequest) -> Result<Subgraphs> {
        self.graphs.subgraphs(context, request).await
    }
}
