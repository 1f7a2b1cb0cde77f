//! `state.get` and `state.listCheckpoints`.

use langopen_core::auth::{Action, Resource};
use langopen_core::model::Thread;
use langopen_core::{JsonMap, RawJson, Scope};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::command::Commander;
use super::envelope::{Answer, ErrorCode, Refusal, answer, params};
use crate::agent::state::{state_at, states_before};
use crate::agent::wire::CheckpointConfig;

/// The default number of checkpoints in a list.
const LISTED: u32 = 10;
/// The most checkpoints in a list.
const MOST: u32 = 1000;

#[derive(Deserialize)]
struct Get {
    #[serde(default)]
    namespace: Vec<String>,
    #[serde(default)]
    keys: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Shown {
    #[serde(default)]
    values: RawJson,
    #[serde(default)]
    checkpoint: Option<JsonMap>,
}

/// Returns the latest state of the thread's graph, or of a subgraph.
pub(super) async fn get(commander: &Commander, given: &RawJson) -> Answer {
    let Get { namespace, keys } = params("state.get", given)?;
    let (scope, thread) = commander.readable().await?;
    let ns = namespace.join("|");
    let at = CheckpointConfig { checkpoint_ns: Some(ns.clone()), ..CheckpointConfig::default() };
    let caller = (&scope, &commander.caller.identity);
    let state = state_at(&commander.app, caller, &thread, &at, false).await?;
    let Shown { mut values, checkpoint } = serde_json::from_str(&state).map_err(crate::agent::error::ApiError::from)?;
    let id = checkpoint.as_ref().and_then(|checkpoint| checkpoint.get("checkpoint_id")?.as_str());
    if id.is_none() && !namespace.is_empty() {
        return Err(Refusal::new(ErrorCode::NoSuchNamespace, format!("Unknown namespace: {ns}")));
    }
    if let (Some(keys), Ok(Value::Object(mut all))) = (keys, values.decode()) {
        all.retain(|key, _| keys.contains(key));
        values = Value::Object(all).into();
    }
    let checkpoint = id.map(|id| json!({"id": id, "ns": ns}));
    #[derive(Serialize)]
    struct State {
        values: RawJson,
        #[serde(skip_serializing_if = "Option::is_none")]
        checkpoint: Option<Value>,
    }
    answer(&State { values, checkpoint })
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    namespace: Option<Vec<String>>,
    #[serde(default)]
    limit: Option<u32>,
    #[serde(default)]
    before: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    checkpoint: JsonMap,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    metadata: Option<JsonMap>,
}

/// Lists the thread's checkpoints, newest first.
pub(super) async fn list_checkpoints(commander: &Commander, given: &RawJson) -> Answer {
    let List { namespace, limit, before } = params("state.listCheckpoints", given)?;
    let limit = limit.unwrap_or(LISTED);
    if !(1..=MOST).contains(&limit) {
        return Err(Refusal::invalid(format!("state.listCheckpoints: limit must be from 1 to {MOST}")));
    }
    let (scope, thread) = commander.readable().await?;
    let ns = namespace.unwrap_or_default().join("|");
    let at = CheckpointConfig { checkpoint_ns: Some(ns), ..CheckpointConfig::default() };
    let before = before.map(|id| CheckpointConfig { checkpoint_id: Some(id), ..CheckpointConfig::default() });
    let caller = (&scope, &commander.caller.identity);
    let states = states_before(&commander.app, caller, &thread, at, (limit, before)).await?;
    let checkpoints = states.iter().filter_map(|state| state.decode().ok().map(summary));
    answer(&json!({"checkpoints": checkpoints.collect::<Vec<_>>()}))
}

fn summary(Listed { checkpoint, created_at, metadata }: Listed) -> Value {
    let metadata = metadata.unwrap_or_default();
    let step = metadata.get("step").cloned().unwrap_or_default();
    json!({
        "id": checkpoint.get("checkpoint_id"), "timestamp": created_at, "step": step, "metadata": metadata,
    })
}

/// Whether the thread has this checkpoint.
pub(super) async fn exists(commander: &Commander, id: &str) -> Result<bool, Refusal> {
    let (scope, thread) = commander.readable().await?;
    let at = CheckpointConfig { checkpoint_id: Some(id.to_owned()), ..CheckpointConfig::default() };
    let state = state_at(&commander.app, (&scope, &commander.caller.identity), &thread, &at, false).await?;
    let Shown { checkpoint, .. } = serde_json::from_str(&state).map_err(crate::agent::error::ApiError::from)?;
    let metadata = serde_json::from_str::<Listed>(&state).ok().and_then(|state| state.metadata);
    Ok(metadata.is_some() && checkpoint.is_some_and(|checkpoint| checkpoint.get("checkpoint_id") == Some(&id.into())))
}

impl Commander {
    /// The thread, if the caller may read it and a run has been started on it.
    pub(super) async fn readable(&self) -> Result<(Scope, Thread), Refusal> {
        let value = || json!({"thread_id": self.thread_id});
        let scope = self.caller.may(Resource::Threads, Action::Read, value).await?.scope;
        let thread = self.app.storage.thread(&scope, self.thread_id).await?;
        let thread = thread.filter(|thread| crate::agent::thread::graph_id(thread).is_some());
        let thread =
            thread.ok_or_else(|| Refusal::new(ErrorCode::NoSuchRun, "No run has been started on this thread."))?;
        Ok((scope, thread))
    }
}
