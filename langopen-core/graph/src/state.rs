//! Answers calls about the states of threads.

use langopen_core::clock::Clock;
use langopen_core::error::{Error, Result};
use langopen_core::executor::{ExecutionContext, GraphCall};
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

/// Answers a call about a graph or one of its threads.
pub(super) async fn answer(
    graph: &Graph,
    clock: &dyn Clock,
    context: &ExecutionContext,
    call: GraphCall,
) -> Result<RawJson> {
    let answer = match call {
        GraphCall::GetState { config, subgraphs, .. } => {
            let named = Named::of(&config)?;
            let reader = named.reader(context, graph)?;
            let saved = reader.saved(named.checkpoint_id.as_deref()).await?;
            let now = named.checkpoint_id.is_none();
            with_summary(&reader, saved.as_ref(), Look { now, subgraphs }).await?
        }
        GraphCall::StateHistory { config, limit, before, metadata, .. } => {
            let named = Named::of(&config)?;
            let reader = named.reader(context, graph)?;
            history(&reader, named.checkpoint_id, limit, before, metadata).await?
        }
        GraphCall::UpdateState { config, values, as_node, .. } => {
            let values: Value = values.decode().map_err(bad_update)?;
            let update = json!({"values": values, "as_node": as_node});
            super::update::apply_all(graph, clock, context, &config, &[vec![update]]).await?
        }
        GraphCall::BulkUpdateState { config, supersteps, .. } => {
            let supersteps: Vec<JsonMap> = supersteps.decode().map_err(bad_update)?;
            let updates = |step: &JsonMap| step.get("updates").and_then(Value::as_array).cloned().unwrap_or_default();
            let supersteps: Vec<_> = supersteps.iter().map(updates).collect();
            super::update::apply_all(graph, clock, context, &config, &supersteps).await?
        }
        GraphCall::Draw { xray, .. } => {
            let depth = match xray.decode::<Value>().unwrap_or_default() {
                Value::Bool(true) => u64::MAX,
                depth => depth.as_u64().unwrap_or(0),
            };
            graph.drawing(depth)
        }
        GraphCall::Schemas { .. } => graph.schemas(),
        GraphCall::Subgraphs { namespace, recurse, .. } => graph.subgraphs(namespace.as_deref(), recurse),
    };
    Ok(answer.into())
}

async fn history(
    reader: &Reader<'_>,
    checkpoint_id: Option<String>,
    limit: u32,
    before: Option<RawJson>,
    metadata: Option<RawJson>,
) -> Result<Value> {
    let before: Option<Value> = before.map(|before| before.decode()).transpose().map_err(bad_update)?;
    let before = before.as_ref().and_then(|before| before["configurable"]["checkpoint_id"].as_str());
    let metadata = metadata.map(|metadata| metadata.decode()).transpose().map_err(bad_update)?.unwrap_or_default();
    let list = CheckpointList {
        checkpoint_ns: Some(reader.namespace.clone()),
        before: before.map(str::to_owned),
        metadata,
        limit: Some(limit),
        checkpoint_id,
    };
    let found = reader.context.list_checkpoints(reader.thread_id, &list).await?;
    let mut states = Vec::with_capacity(found.len());
    for tuple in found {
        let saved = Saved::read(&reader.graph.0, tuple)?;
        states.push(Value::Object(reader.document(Some(&saved), Look { now: false, subgraphs: false }).await?));
    }
    Ok(Value::Array(states))
}

/// Makes a ThreadState with the summary that updates the thread's row.
pub(super) async fn with_summary(reader: &Reader<'_>, saved: Option<&Saved>, look: Look) -> Result<Value> {
    let mut state = reader.document(saved, look).await?;
    let waits = state["next"].as_array().is_some_and(|next| !next.is_empty());
    let status = if waits { ThreadStatus::Interrupted } else { ThreadStatus::Idle };
    let interrupts = reader.open(saved).await?;
    let summary = json!({"status": status, "interrupts": interrupts, "checkpoint_id": state["checkpoint_id"]});
    state.insert("__thread__".to_owned(), summary);
    Ok(Value::Object(state))
}

fn bad_update(error: serde_json::Error) -> Error {
    Error::invalid("executor.call", "the call's parameters are not of the expected shape").with_source(error)
}
