//! Names and small documents that several bodies share.

use langopen_core::{JsonMap, RawJson};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! names {
    ($($(#[$meta:meta])* $type:ident { $($variant:ident),* $(,)? })*) => {
        $(
            // It documents the names; core's own type reads and writes them.
            #[derive(ToSchema)]
            $(#[$meta])*
            #[schema(rename_all = "snake_case")]
            #[expect(dead_code, reason = "only its schema is used")]
            pub(crate) enum $type { $($variant),* }
        )*
    };
}

names! {
    /// Where a run stands.
    RunStatusName { Pending, Running, Error, Success, Timeout, Interrupted }
    /// What a thread is doing.
    ThreadStatusName { Idle, Busy, Interrupted, Error }
    /// What a new run does to those in flight on its thread.
    MultitaskStrategyName { Reject, Rollback, Interrupt, Enqueue }
    /// What becomes of a stateless run's thread.
    OnCompletionName { Delete, Keep }
    /// What a run on a missing thread does.
    IfNotExistsName { Create, Reject }
    /// When checkpoints are written: before the next step begins, while it runs, or at the end alone.
    DurabilityName { Sync, Async, Exit }
    /// The direction of a sort.
    SortOrderName { Asc, Desc }
    /// What creating does when the id is taken.
    IfExistsName { Raise, DoNothing }
    /// How a run is cancelled: it ends, or it is as if it had never been.
    #[schema(default = "interrupt")]
    CancelActionName { Interrupt, Rollback }
    /// A field of an assistant.
    AssistantField {
        AssistantId, GraphId, Name, Description, Config, Context, CreatedAt, UpdatedAt, Metadata, Version,
    }
    /// A field of a thread.
    ThreadField { ThreadId, CreatedAt, UpdatedAt, StateUpdatedAt, Metadata, Config, Status, Values, Interrupts }
    /// A field of a cron.
    CronField {
        CronId, AssistantId, ThreadId, OnRunCompleted, EndTime, Schedule, Timezone, CreatedAt, UpdatedAt, UserId,
        Payload, NextRunDate, Metadata, Enabled,
    }
    /// A field of a run.
    RunField {
        RunId, ThreadId, AssistantId, CreatedAt, UpdatedAt, Status, Metadata, Kwargs, MultitaskStrategy,
        LangsmithSessionName,
    }
}

// It documents the names; core's own type reads and writes them.
/// What a stream tells.
#[derive(Deserialize, ToSchema)]
#[schema(as = StreamMode, rename_all = "kebab-case")]
pub(crate) enum StreamModeName {
    Values,
    Messages,
    MessagesTuple,
    Tasks,
    Checkpoints,
    Updates,
    Events,
    Debug,
    Custom,
}

/// What happens to a run whose client goes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnDisconnect {
    /// It is cancelled.
    Cancel,
    /// It goes on.
    #[default]
    Continue,
}

/// A runnable config.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used: configs are carried whole")]
pub(crate) struct Config {
    tags: Option<Vec<String>>,
    recursion_limit: Option<i64>,
    #[schema(value_type = Option<Object>)]
    configurable: Option<JsonMap>,
}

/// Names a checkpoint.
#[derive(Debug, Default, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct CheckpointConfig {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) thread_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) checkpoint_ns: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) checkpoint_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub(crate) checkpoint_map: Option<JsonMap>,
}

/// An input for one node.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Send {
    #[expect(dead_code, reason = "checked, then carried as it came")]
    node: String,
    #[schema(value_type = serde_json::Value)]
    #[expect(dead_code, reason = "checked, then carried as it came")]
    input: serde::de::IgnoredAny,
}

/// Steers a graph: answers interrupts, changes the state, goes to nodes.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Command {
    #[serde(default)]
    #[schema(value_type = Option<Updates>, inline)]
    pub(crate) update: Option<RawJson>,
    #[serde(default)]
    #[schema(value_type = Option<serde_json::Value>)]
    #[expect(dead_code, reason = "any value will do; carried as it came")]
    pub(crate) resume: Option<RawJson>,
    /// A node, a `Send`, or a list of either kind.
    #[serde(default)]
    #[schema(value_type = Option<Goto>, inline)]
    pub(crate) goto: Option<RawJson>,
}

// It documents the field; see `run_body::check`.
/// Where to go: a node, a `Send`, or a list of either kind.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum Goto {
    Send(Send),
    Sends(Vec<Send>),
    Node(String),
    Nodes(Vec<String>),
}

// It documents fields that core or a graph reads.
/// A change of state by key, or a list of changes.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum Updates {
    #[schema(value_type = Object)]
    Object(JsonMap),
    List(Vec<serde_json::Value>),
}

// It documents the field; core reads it.
/// One stream mode or several.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum StreamModes {
    One(StreamModeName),
    Several(Vec<StreamModeName>),
}

// It documents the field; see `run_body::check`.
/// `*` for all nodes, or a list.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum Nodes {
    All(String),
    These(Vec<String>),
}
