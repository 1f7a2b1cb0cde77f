//! `run.start` and `state.fork`.

use langopen_core::model::{MultitaskStrategy, Thread, ThreadStatus};
use langopen_core::run_plan::{IfNotExists, RunRequest, StreamMode};
use langopen_core::{JsonMap, RawJson, RawObject, RunId, Scope};
use serde::Deserialize;
use serde_json::{Value, json};

use super::command::Commander;
use super::envelope::{Answer, ErrorCode, Refusal, answer, params};
use crate::agent::run_body::RunCreate;
use crate::agent::runs::{Attach, submit};
use crate::agent::wire::OnDisconnect;

/// The stream modes of runs that the protocol starts: all modes that the protocol has a channel for.
const MODES: [StreamMode; 8] = [
    StreamMode::Values,
    StreamMode::Updates,
    StreamMode::Messages,
    StreamMode::Tools,
    StreamMode::Lifecycle,
    StreamMode::Custom,
    StreamMode::Tasks,
    StreamMode::Checkpoints,
];

#[derive(Deserialize, Default)]
#[serde(default)]
struct Start {
    assistant_id: Option<String>,
    input: Option<RawJson>,
    #[serde(deserialize_with = "config")]
    config: Option<JsonMap>,
    metadata: Option<JsonMap>,
    #[serde(rename = "multitaskStrategy")]
    strategy: Option<MultitaskStrategy>,
    #[serde(rename = "multitask_strategy")]
    strategy_too: Option<MultitaskStrategy>,
    #[serde(rename = "langsmith_tracer")]
    _langsmith_tracer: Option<JsonMap>,
}

/// A runnable config that may be absent.
pub(super) fn config<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<JsonMap>, D::Error> {
    match Option::<JsonMap>::deserialize(deserializer)? {
        None => Ok(None),
        Some(config) => crate::agent::wire::config(Value::Object(config)).map_err(serde::de::Error::custom),
    }
}

/// Starts a run at once, even on a busy thread: the multitask strategy decides about runs in flight. On an interrupted
/// thread, the input answers the interrupt.
pub(super) async fn start(commander: &Commander, given: &RawJson) -> Answer {
    let start: Start = params("run.start", given)?;
    let assistant_id = start.assistant_id.filter(|id| !id.is_empty());
    let assistant_id = assistant_id.ok_or_else(|| Refusal::invalid("run.start requires an assistant_id."))?;
    let configurable = start.config.as_ref().and_then(|config| config.get("configurable"));
    let forks = match configurable.and_then(|configurable| configurable.get("checkpoint_id")) {
        None | Some(Value::Null) => false,
        Some(Value::String(id)) if !id.is_empty() => true,
        Some(_) => return Err(Refusal::invalid("config.configurable.checkpoint_id must be a non-empty string.")),
    };
    let mut request = RunRequest::default()
        .with_config(start.config)
        .with_metadata(start.metadata)
        .with_multitask_strategy(start.strategy.or(start.strategy_too))
        .with_if_not_exists(Some(IfNotExists::Create));
    let waits = !forks && commander.thread().await?.is_some_and(|thread| waits(&thread));
    match start.input {
        Some(answer) if waits => request.command = Some(command([("resume", answer)])?),
        input => request.input = input,
    }
    answer(&json!({"run_id": commander.run(assistant_id, request).await?}))
}

/// A command for a graph.
pub(super) fn command<'a>(parts: impl IntoIterator<Item = (&'a str, RawJson)>) -> Answer {
    let mut command = RawObject::default();
    parts.into_iter().for_each(|(key, value)| command.insert(key, value));
    answer(&command)
}

/// Whether the thread has an open interrupt.
fn waits(thread: &Thread) -> bool {
    thread.status == ThreadStatus::Interrupted && thread.interrupts.as_ref().is_some_and(|open| open.as_str() != "{}")
}

#[derive(Deserialize)]
struct Fork {
    checkpoint_id: String,
    #[serde(default)]
    input: Option<RawJson>,
    #[serde(default, deserialize_with = "config")]
    config: Option<JsonMap>,
}

/// Starts a run from an earlier checkpoint.
pub(super) async fn fork(commander: &Commander, given: &RawJson) -> Answer {
    let fork: Fork = params("state.fork", given)?;
    let id = fork.checkpoint_id;
    let no_such = || Refusal::new(ErrorCode::NoSuchCheckpoint, format!("Unknown checkpoint: {id}"));
    if id.parse::<uuid::Uuid>().is_err() || !super::state::exists(commander, &id).await? {
        return Err(no_such());
    }
    let mut config = fork.config.unwrap_or_default();
    match config.entry("configurable").or_insert_with(|| Value::Object(JsonMap::new())) {
        Value::Object(configurable) => configurable.insert("checkpoint_id".to_owned(), id.into()),
        _ => None,
    };
    let request = RunRequest::default().with_config(Some(config)).with_input(fork.input);
    let assistant_id = commander.assistant_of_thread().await?;
    let run_id = commander.run(assistant_id, request).await?;
    answer(&json!({"run_id": run_id, "thread_id": commander.thread_id}))
}

impl Commander {
    /// The thread's row without the caller's filter. The caller never sees it.
    pub(super) async fn thread(&self) -> Result<Option<Thread>, Refusal> {
        let scope = Scope::tenant(self.caller.identity.tenant.clone());
        Ok(self.app.storage.thread(&scope, self.thread_id).await?)
    }

    /// The assistant of the thread's last run.
    pub(super) async fn assistant_of_thread(&self) -> Result<String, Refusal> {
        let thread = self.thread().await?;
        let named = |key| thread.as_ref()?.metadata.get(key)?.as_str().map(str::to_owned);
        let assistant = named("assistant_id").or_else(|| named("graph_id"));
        assistant.ok_or_else(|| Refusal::new(ErrorCode::NoSuchRun, "No run has been started on this thread."))
    }

    /// Creates a run that streams in the protocol's shapes.
    pub(super) async fn run(&self, assistant_id: String, request: RunRequest) -> Result<RunId, Refusal> {
        let request = request
            .with_stream_mode(Some(MODES.to_vec()))
            .with_stream_subgraphs(Some(true))
            .with_stream_resumable(Some(true));
        let create = RunCreate { assistant_id, on_disconnect: OnDisconnect::Continue, request };
        let place = Some(self.thread_id);
        let submitted = submit(&self.app, &self.caller, &self.forwarded, place, create, Attach::Nothing).await?;
        Ok(submitted.run.run_id)
    }
}
