//! Answers questions about the states of threads.

use langopen_core::clock::Clock;
use langopen_core::error::{Error, Result};
use langopen_core::executor::{
    BulkUpdateRequest, ExecutionContext, HistoryRequest, StateAnswer, StateRequest, StateSummary, UpdateAnswer,
    UpdateRequest,
};
use langopen_core::ids::ThreadId;
use langopen_core::json::{JsonMap, RawJson};
use langopen_core::model::{CheckpointList, ThreadStatus};
use serde_json::{Value, json};

use super::Graph;
use super::checkpoint::Saved;
use super::snapshot::{Look, Reader};

/// The location of a state, from a runnable config.
pub(super) struct Named {
    pub(super) thread_id: ThreadId,
    pub(super) namespace: String,
    pub(super) checkpoint_id: Option<String>,
}

impl Named {
    pub(super) fn of(config: &RawJson) -> Result<Self> {
        let config: Value = config
            .decode()
            .map_err(|error| Error::invalid("executor.call", "the config must be a JSON object").with_source(error))?;
        let text = |key: &str| config["configurable"][key].as_str().filter(|text| !text.is_empty());
        let thread_id = text("thread_id").and_then(|id| id.parse().ok());
        let thread_id =
            thread_id.ok_or_else(|| Error::invalid("executor.call", "config.configurable.thread_id must be a UUID"))?;
        let namespace = text("checkpoint_ns").unwrap_or_default().to_owned();
        Ok(Self { thread_id, namespace, checkpoint_id: text("checkpoint_id").map(str::to_owned) })
    }

    pub(super) fn reader<'a>(&self, context: &'a ExecutionContext, root: &Graph) -> Result<Reader<'a>> {
        let graph = root.inside(&self.namespace).ok_or_else(|| {
            Error::new(
                langopen_core::ErrorKind::Graph,
                "executor.call",
                format!("Subgraph {} not found", self.namespace),
            )
        })?;
        Ok(Reader { context, graph, thread_id: self.thread_id, namespace: self.namespace.clone() })
    }
}

/// Answers with the state that the request names.
pub(super) async fn get(graph: &Graph, context: &ExecutionContext, request: &StateRequest) -> Result<StateAnswer> {
    let named = Named::of(&request.config)?;
    let reader = named.reader(context, graph)?;
    let saved = reader.saved(named.checkpoint_id.as_deref()).await?;
    let look = Look { now: named.checkpoint_id.is_none(), subgraphs: request.subgraphs };
    let (state, thread) = with_summary(&reader, saved.as_ref(), look).await?;
    Ok(StateAnswer::new(state, thread))
}

/// Answers with the states before a checkpoint, latest first.
pub(super) async fn history(
    graph: &Graph,
    context: &ExecutionContext,
    request: HistoryRequest,
) -> Result<Vec<RawJson>> {
    let named = Named::of(&request.config)?;
    let reader = named.reader(context, graph)?;
    let before: Option<Value> = request.before.map(|before| before.decode()).transpose().map_err(malformed)?;
    let before = before.as_ref().and_then(|before| before["configurable"]["checkpoint_id"].as_str());
    let metadata = request.metadata.map(|metadata| metadata.decode()).transpose().map_err(malformed)?;
    let list = CheckpointList::default()
        .with_checkpoint_ns(Some(reader.namespace.clone()))
        .with_before(before.map(str::to_owned))
        .with_metadata(metadata.unwrap_or_default())
        .with_limit(Some(request.limit))
        .with_checkpoint_id(named.checkpoint_id);
    let found = context.list_checkpoints(reader.thread_id, &list).await?;
    let mut states = Vec::with_capacity(found.len());
    for tuple in found {
        let saved = Saved::read(&reader.graph.0, tuple)?;
        let document = reader.document(Some(&saved), Look { now: false, subgraphs: false }).await?;
        states.push(Value::Object(document).into());
    }
    Ok(states)
}

/// Applies one update.
pub(super) async fn update(
    graph: &Graph,
    clock: &dyn Clock,
    context: &ExecutionContext,
    request: UpdateRequest,
) -> Result<UpdateAnswer> {
    let values: Value = request.values.decode().map_err(malformed)?;
    let update = json!({"values": values, "as_node": request.as_node});
    super::update::apply_all(graph, clock, context, &request.config, &[vec![update]]).await
}

/// Applies supersteps of updates.
pub(super) async fn bulk_update(
    graph: &Graph,
    clock: &dyn Clock,
    context: &ExecutionContext,
    request: BulkUpdateRequest,
) -> Result<UpdateAnswer> {
    let supersteps: Vec<JsonMap> = request.supersteps.decode().map_err(malformed)?;
    let updates = |step: &JsonMap| step.get("updates").and_then(Value::as_array).cloned().unwrap_or_default();
    let supersteps: Vec<_> = supersteps.iter().map(updates).collect();
    super::update::apply_all(graph, clock, context, &request.config, &supersteps).await
}

/// Makes a ThreadState, and the summary that updates the thread's row.
pub(super) async fn with_summary(
    reader: &Reader<'_>,
    saved: Option<&Saved>,
    look: Look,
) -> Result<(RawJson, StateSummary)> {
    let state = reader.document(saved, look).await?;
    let waits = state["next"].as_array().is_some_and(|next| !next.is_empty());
    let status = if waits { ThreadStatus::Interrupted } else { ThreadStatus::Idle };
    let interrupts = Value::Object(reader.open(saved).await?);
    let checkpoint_id = state["checkpoint_id"].as_str().map(str::to_owned);
    Ok((Value::Object(state).into(), StateSummary::new(status, interrupts.into(), checkpoint_id)))
}

fn malformed(error: serde_json::Error) -> Error {
    Error::invalid("executor.call", "the request's documents are not of the expected shape").with_source(error)
}
