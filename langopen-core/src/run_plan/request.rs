//! What a client can request of a run.

use serde::de::value::StrDeserializer;
use serde::de::{Deserializer, Error, IntoDeserializer};
use serde::{Deserialize, Serialize};

use crate::json::{JsonMap, RawJson};
use crate::model::{MultitaskStrategy, OnCompletion};

/// What a run on a missing thread does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum IfNotExists {
    /// It makes the thread.
    Create,
    /// It fails.
    #[default]
    Reject,
}

/// The kind of events in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each variant is the mode of that name")]
#[non_exhaustive]
pub enum StreamMode {
    Values,
    Messages,
    MessagesTuple,
    Tasks,
    Checkpoints,
    Updates,
    Events,
    Debug,
    Custom,
    /// Only for runs that are started through the event streaming protocol.
    #[serde(skip_deserializing)]
    Tools,
    /// The same.
    #[serde(skip_deserializing)]
    Lifecycle,
}

/// When checkpoints are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Durability {
    /// Before the next step begins.
    Sync,
    /// While the next step runs.
    Async,
    /// At the end alone.
    Exit,
}

/// The checkpoint that a run starts from.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct CheckpointRef {
    /// Its id; the newest if absent.
    pub checkpoint_id: Option<String>,
    /// Its namespace.
    pub checkpoint_ns: Option<String>,
    /// The checkpoints of the subgraphs around it.
    pub checkpoint_map: Option<JsonMap>,
}

/// What a client can request of a run; absent fields have their defaults. It reads the bodies that create runs
/// leniently: the API validates them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RunRequest {
    /// The checkpoint to start from.
    pub checkpoint: Option<CheckpointRef>,
    /// The same, by its id alone; `checkpoint` wins.
    pub checkpoint_id: Option<String>,
    /// What the graph gets.
    pub input: Option<RawJson>,
    /// Resumes, updates or redirects the graph; overrides `input`.
    pub command: Option<RawJson>,
    /// Free keys.
    pub metadata: Option<JsonMap>,
    /// `tags`, `recursion_limit`, `configurable`, `metadata`.
    pub config: Option<JsonMap>,
    /// The run-time context. A request cannot give `config.configurable` too.
    pub context: Option<JsonMap>,
    /// The URL that is called when the run has ended.
    pub webhook: Option<String>,
    /// Nodes to stop before: `"*"` or a list.
    pub interrupt_before: Option<RawJson>,
    /// Nodes to stop after: `"*"` or a list.
    pub interrupt_after: Option<RawJson>,
    /// The stream modes; `values` if absent.
    #[serde(deserialize_with = "stream_modes")]
    pub stream_mode: Option<Vec<StreamMode>>,
    /// Whether subgraphs are streamed too.
    pub stream_subgraphs: Option<bool>,
    /// Whether its events are stored for readers that reconnect.
    pub stream_resumable: Option<bool>,
    /// Names of feedback that clients want to give.
    pub feedback_keys: Option<Vec<String>>,
    /// What it does to the other runs on its thread.
    pub multitask_strategy: Option<MultitaskStrategy>,
    /// What it does on a missing thread.
    pub if_not_exists: Option<IfNotExists>,
    /// What becomes of a thread of its own.
    pub on_completion: Option<OnCompletion>,
    /// Seconds to wait before it may start.
    pub after_seconds: Option<serde_json::Number>,
    /// Deprecated: `false` is [`Durability::Exit`].
    pub checkpoint_during: Option<bool>,
    /// When checkpoints are written.
    pub durability: Option<Durability>,
}

setters! {
    RunRequest {
        with_checkpoint checkpoint: Option<CheckpointRef>,
        with_checkpoint_id checkpoint_id: Option<String>,
        with_input input: Option<RawJson>,
        with_command command: Option<RawJson>,
        with_metadata metadata: Option<JsonMap>,
        with_config config: Option<JsonMap>,
        with_context context: Option<JsonMap>,
        with_webhook webhook: Option<String>,
        with_interrupt_before interrupt_before: Option<RawJson>,
        with_interrupt_after interrupt_after: Option<RawJson>,
        with_stream_mode stream_mode: Option<Vec<StreamMode>>,
        with_stream_subgraphs stream_subgraphs: Option<bool>,
        with_stream_resumable stream_resumable: Option<bool>,
        with_feedback_keys feedback_keys: Option<Vec<String>>,
        with_multitask_strategy multitask_strategy: Option<MultitaskStrategy>,
        with_if_not_exists if_not_exists: Option<IfNotExists>,
        with_on_completion on_completion: Option<OnCompletion>,
        with_after_seconds after_seconds: Option<serde_json::Number>,
        with_checkpoint_during checkpoint_during: Option<bool>,
        with_durability durability: Option<Durability>,
    }
}

/// Reads a stream mode or an array of them, each once; an empty array counts as absent.
///
/// # Errors
/// For anything else.
pub fn stream_modes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<StreamMode>>, D::Error> {
    let Some(raw) = Option::<RawJson>::deserialize(deserializer)? else { return Ok(None) };
    let names: Result<Vec<String>, _> =
        if raw.as_str().starts_with('[') { raw.decode() } else { raw.decode().map(|name| vec![name]) };
    let mut unique = Vec::new();
    for name in names.map_err(D::Error::custom)? {
        let name: StrDeserializer<'_, D::Error> = name.as_str().into_deserializer();
        let mode = StreamMode::deserialize(name)?;
        if !unique.contains(&mode) {
            unique.push(mode);
        }
    }
    Ok((!unique.is_empty()).then_some(unique))
}
