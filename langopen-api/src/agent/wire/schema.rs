//! Names and small documents that several bodies share.

use langopen_core::run_plan::StreamMode;
use langopen_core::{JsonMap, RawJson};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! names {
    ($($(#[$meta:meta])* $type:ident { $($variant:ident),* $(,)? })*) => {
        $(
            // This enum only documents the names; the core's type reads and writes them.
            #[derive(ToSchema)]
            $(#[$meta])*
            #[schema(rename_all = "snake_case")]
            #[expect(dead_code, reason = "only its schema is used")]
            pub(crate) enum $type { $($variant),* }
        )*
    };
}

names! {
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

/// The effect on a run when its client disconnects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnDisconnect {
    /// The server cancels the run.
    Cancel,
    /// The run continues.
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

/// A command to a graph: it answers interrupts, updates the state, and selects the next nodes.
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

// This type only documents the field; see `run_body::check`.
/// The next nodes: a node, a `Send`, or a list of either kind.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum Goto {
    Send(Send),
    Sends(Vec<Send>),
    Node(String),
    Nodes(Vec<String>),
}

// This type only documents fields; the core or a graph reads them.
/// An update of the state by key, or a list of updates.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum Updates {
    #[schema(value_type = Object)]
    Object(JsonMap),
    List(Vec<serde_json::Value>),
}

// This type only documents the field; the core reads it.
/// One stream mode or several.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum StreamModes {
    One(StreamMode),
    Several(Vec<StreamMode>),
}

// This type only documents the field; see `run_body::check`.
/// `*` for all nodes, or a list.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum Nodes {
    All(String),
    These(Vec<String>),
}
