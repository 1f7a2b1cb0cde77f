//! The state of a function's threads: one checkpoint per run, encoded as JSON.

use serde_json::{Value, json};
use uuid::Uuid;

use super::Graph;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::executor::{ExecutionContext, GraphCall, ResultState, RunJob};
use crate::ids::ThreadId;
use crate::json::{JsonMap, RawJson};
use crate::model::{CheckpointKey, CheckpointList, CheckpointTuple, NewCheckpoint};
use crate::queue::Lease;

/// The serialiser's name in checkpoints that this executor writes.
const KIND: &str = "json";

pub(super) async fn latest_values(job: &RunJob) -> Result<JsonMap> {
    if job.run.temporary || job.fresh_thread {
        return Ok(JsonMap::new());
    }
    match latest(&job.context, job.run.thread_id, None).await? {
        Some(checkpoint) => values_of(&checkpoint),
        None => Ok(JsonMap::new()),
    }
}

/// Keeps `values` as the thread's newest checkpoint, unless the run is temporary.
pub(super) async fn keep(job: &RunJob, clock: &dyn Clock, values: JsonMap) -> Result<ResultState> {
    if job.run.temporary {
        let values = RawJson::from(Value::Object(values));
        return Ok(ResultState { checkpoint_id: None, values, rest: json!({"next": [], "tasks": []}).into() });
    }
    let mut metadata = job.run.metadata.clone();
    metadata.insert("run_id".to_owned(), job.run.run_id.to_string().into());
    let lease = Some(Lease { run_id: job.run.run_id, attempt: job.run.attempt });
    let kept = put(&job.context, clock, job.run.thread_id, lease, "loop", metadata, values).await?;
    Ok(ResultState {
        checkpoint_id: Some(kept.checkpoint_id.clone()),
        values: RawJson::from(Value::Object(values_of(&kept)?)),
        rest: RawJson::from(Value::Object(rest_of(&kept))),
    })
}

pub(super) async fn answer(
    graph: &Graph,
    clock: &dyn Clock,
    context: &ExecutionContext,
    call: GraphCall,
) -> Result<RawJson> {
    let answer = match call {
        GraphCall::GetState { config, .. } => {
            let (thread_id, checkpoint_id) = place(&config)?;
            match latest(context, thread_id, checkpoint_id).await? {
                Some(checkpoint) => full(&checkpoint)?,
                None => {
                    json!({"values": {}, "next": [], "tasks": [], "metadata": null, "created_at": null, "checkpoint": null,
                    "parent_checkpoint": null, "interrupts": [], "checkpoint_id": null, "parent_checkpoint_id": null})
                }
            }
        }
        GraphCall::StateHistory { config, limit, before, metadata, .. } => {
            let (thread_id, _) = place(&config)?;
            let before = before.as_ref().map(place).transpose()?.and_then(|(_, before)| before);
            let metadata =
                metadata.map(|metadata| metadata.decode()).transpose().map_err(bad_config)?.unwrap_or_default();
            let list = CheckpointList {
                checkpoint_ns: Some(String::new()),
                before,
                metadata,
                limit: Some(limit),
                checkpoint_id: None,
            };
            let checkpoints = context.storage.list_checkpoints(&context.scope, thread_id, &list).await?;
            Value::Array(checkpoints.iter().map(full).collect::<Result<_>>()?)
        }
        GraphCall::UpdateState { config, values, .. } => {
            let (thread_id, checkpoint_id) = place(&config)?;
            let mut merged = match latest(context, thread_id, checkpoint_id).await? {
                Some(checkpoint) => values_of(&checkpoint)?,
                None => JsonMap::new(),
            };
            match values.decode() {
                Ok(Value::Object(update)) => graph.merge(&mut merged, update),
                Ok(Value::Null) => {}
                _ => return Err(Error::new(ErrorKind::Graph, "executor.update_state", "values must be a JSON object")),
            }
            let kept = put(context, clock, thread_id, None, "update", JsonMap::new(), merged).await?;
            let state = full(&kept)?;
            json!({"checkpoint": state["checkpoint"], "state": state})
        }
        GraphCall::Draw { .. } => {
            let name = &graph.info.graph_id;
            json!({
                "nodes": [
                    {"id": "__start__", "type": "runnable", "data": {"name": "__start__"}},
                    {"id": name, "type": "runnable", "data": {"name": name}},
                    {"id": "__end__"},
                ],
                "edges": [{"source": "__start__", "target": name}, {"source": name, "target": "__end__"}],
            })
        }
        GraphCall::Schemas { .. } => json!({
            "input_schema": null, "output_schema": null, "state_schema": null, "config_schema": null, "context_schema": null,
        }),
        GraphCall::Subgraphs { .. } => json!({}),
        GraphCall::BulkUpdateState { .. } => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "executor.call",
                "a graph that is a Rust function has no supersteps; update its state instead",
            ));
        }
    };
    Ok(answer.into())
}

async fn latest(
    context: &ExecutionContext,
    thread_id: ThreadId,
    checkpoint_id: Option<String>,
) -> Result<Option<CheckpointTuple>> {
    let key = CheckpointKey { thread_id, checkpoint_ns: String::new(), checkpoint_id };
    context.storage.checkpoint(&context.scope, &key).await
}

async fn put(
    context: &ExecutionContext,
    clock: &dyn Clock,
    thread_id: ThreadId,
    lease: Option<Lease>,
    source: &str,
    mut metadata: JsonMap,
    values: JsonMap,
) -> Result<CheckpointTuple> {
    let parent = latest(context, thread_id, None).await?;
    let step = parent.as_ref().and_then(|parent| parent.metadata.decode::<JsonMap>().ok()?.get("step")?.as_i64());
    metadata.insert("source".to_owned(), source.into());
    metadata.insert("step".to_owned(), step.map_or(0, |step| step + 1).into());
    metadata.insert("parents".to_owned(), json!({}));
    let encoded = json!({"created_at": clock.now(), "values": values});
    let new = NewCheckpoint {
        thread_id,
        checkpoint_ns: String::new(),
        checkpoint_id: Uuid::now_v6(&[0x4c, 0x61, 0x6e, 0x67, 0x4f, 0x70]).to_string(),
        parent_checkpoint_id: parent.map(|parent| parent.checkpoint_id),
        run_id: lease.map(|lease| lease.run_id),
        attempt: lease.map(|lease| lease.attempt),
        kind: KIND.to_owned(),
        bytes: encoded.to_string().into(),
        metadata: Value::Object(metadata).into(),
        channel_versions: Vec::new(),
        blobs: Vec::new(),
    };
    let kept = CheckpointTuple {
        thread_id,
        checkpoint_ns: String::new(),
        checkpoint_id: new.checkpoint_id.clone(),
        parent_checkpoint_id: new.parent_checkpoint_id.clone(),
        kind: new.kind.clone(),
        bytes: new.bytes.clone(),
        metadata: new.metadata.clone(),
        channel_values: Vec::new(),
        pending_writes: Vec::new(),
    };
    context.storage.put_checkpoint(&context.scope, new).await?;
    Ok(kept)
}

fn values_of(checkpoint: &CheckpointTuple) -> Result<JsonMap> {
    match decoded(checkpoint)?.remove("values") {
        Some(Value::Object(values)) => Ok(values),
        _ => Err(Error::internal("executor.read_state", "a checkpoint of this thread holds no values")),
    }
}

fn decoded(checkpoint: &CheckpointTuple) -> Result<JsonMap> {
    serde_json::from_slice(&checkpoint.bytes).map_err(|error| {
        Error::internal("executor.read_state", "a checkpoint of this thread was not made by a Rust function")
            .with_source(error)
    })
}

/// The ThreadState of the wire without `values`.
fn rest_of(checkpoint: &CheckpointTuple) -> JsonMap {
    let at = |id: &str| json!({"checkpoint_id": id, "thread_id": checkpoint.thread_id, "checkpoint_ns": ""});
    let created_at = decoded(checkpoint).ok().and_then(|mut decoded| decoded.remove("created_at"));
    let rest = json!({
        "next": [], "tasks": [],
        "metadata": checkpoint.metadata,
        "created_at": created_at,
        "checkpoint": at(&checkpoint.checkpoint_id),
        "parent_checkpoint": checkpoint.parent_checkpoint_id.as_deref().map(at),
        "interrupts": [],
        "checkpoint_id": checkpoint.checkpoint_id,
        "parent_checkpoint_id": checkpoint.parent_checkpoint_id,
    });
    match rest {
        Value::Object(rest) => rest,
        _ => JsonMap::new(),
    }
}

fn full(checkpoint: &CheckpointTuple) -> Result<Value> {
    let mut state = JsonMap::new();
    state.insert("values".to_owned(), Value::Object(values_of(checkpoint)?));
    state.extend(rest_of(checkpoint));
    let summary = json!({"status": "idle", "interrupts": {}, "checkpoint_id": checkpoint.checkpoint_id});
    state.insert("__thread__".to_owned(), summary);
    Ok(Value::Object(state))
}

/// The thread and checkpoint that a runnable config names.
fn place(config: &RawJson) -> Result<(ThreadId, Option<String>)> {
    let config: JsonMap = config.decode().map_err(bad_config)?;
    let text = |key: &str| config.get("configurable")?.get(key)?.as_str();
    let thread_id = text("thread_id").and_then(|id| id.parse().ok());
    let thread_id =
        thread_id.ok_or_else(|| Error::invalid("executor.call", "config.configurable.thread_id must be a UUID"))?;
    Ok((thread_id, text("checkpoint_id").map(str::to_owned)))
}

fn bad_config(error: serde_json::Error) -> Error {
    Error::invalid("executor.call", "the config must be a JSON object").with_source(error)
}
