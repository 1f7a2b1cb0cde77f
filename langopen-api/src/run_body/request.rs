//! The bodies that create runs.

use langopen_core::model::{MultitaskStrategy, OnCompletion};
use langopen_core::{JsonMap, RawJson};
use serde::Deserialize;
use utoipa::ToSchema;

use super::check;
use crate::extract::field::{self, Object};
use crate::wire::{
    CheckpointConfig, Command, Config, Durability, MultitaskStrategyName, Nodes, OnCompletionName, OnDisconnect,
    StreamMode, StreamModes,
};

/// What a run on a missing thread does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum IfNotExists {
    /// It makes the thread.
    Create,
    /// It fails.
    #[default]
    Reject,
}

/// Every field that any of the bodies has.
#[derive(Debug, Default)]
pub(crate) struct RunRequest {
    pub(crate) assistant_id: String,
    pub(crate) checkpoint: Option<CheckpointConfig>,
    pub(crate) checkpoint_id: Option<String>,
    pub(crate) input: Option<RawJson>,
    pub(crate) command: Option<RawJson>,
    pub(crate) metadata: Option<JsonMap>,
    pub(crate) config: Option<JsonMap>,
    pub(crate) context: Option<JsonMap>,
    pub(crate) webhook: Option<String>,
    pub(crate) interrupt_before: Option<RawJson>,
    pub(crate) interrupt_after: Option<RawJson>,
    pub(crate) stream_mode: Option<Vec<StreamMode>>,
    pub(crate) stream_subgraphs: Option<bool>,
    pub(crate) stream_resumable: Option<bool>,
    pub(crate) feedback_keys: Option<Vec<String>>,
    pub(crate) multitask_strategy: Option<MultitaskStrategy>,
    pub(crate) if_not_exists: Option<IfNotExists>,
    pub(crate) on_completion: Option<OnCompletion>,
    pub(crate) on_disconnect: Option<OnDisconnect>,
    pub(crate) after_seconds: Option<serde_json::Number>,
    pub(crate) checkpoint_during: Option<bool>,
    pub(crate) durability: Option<Durability>,
}

/// The four bodies share most fields; serde's `flatten` cannot carry JSON text, so a macro repeats them.
macro_rules! bodies {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Deserialize, ToSchema)]
            pub(crate) struct $name {
                /// An assistant's UUID, or a graph's id for its system assistant.
                assistant_id: String,
                /// What the graph gets.
                #[serde(default)]
                #[schema(value_type = Option<serde_json::Value>)]
                input: Option<RawJson>,
                #[serde(default, deserialize_with = "check::command")]
                #[schema(value_type = Option<Command>)]
                command: Option<RawJson>,
                #[serde(default, deserialize_with = "field::map")]
                #[schema(value_type = Option<Object>)]
                metadata: Option<JsonMap>,
                #[serde(default, deserialize_with = "field::config")]
                #[schema(value_type = Option<Config>)]
                config: Option<JsonMap>,
                /// The run-time context; excludes `config.configurable`.
                #[serde(default, deserialize_with = "field::map")]
                #[schema(value_type = Option<Object>)]
                context: Option<JsonMap>,
                #[serde(default)]
                #[schema(min_length = 1, max_length = 65536)]
                webhook: Option<String>,
                /// One or more modes; `["values"]` if absent.
                #[serde(default, deserialize_with = "check::modes")]
                #[schema(value_type = Option<StreamModes>, inline)]
                stream_mode: Option<Vec<StreamMode>>,
                #[serde(default)]
                #[schema(default = false)]
                stream_subgraphs: Option<bool>,
                /// Keeps the events for readers that come back.
                #[serde(default)]
                #[schema(default = false)]
                stream_resumable: Option<bool>,
                #[serde(default)]
                feedback_keys: Option<Vec<String>>,
                /// Nodes to stop before: `"*"` or a list.
                #[serde(default, deserialize_with = "check::nodes")]
                #[schema(value_type = Option<Nodes>, inline)]
                interrupt_before: Option<RawJson>,
                /// Nodes to stop after: `"*"` or a list.
                #[serde(default, deserialize_with = "check::nodes")]
                #[schema(value_type = Option<Nodes>, inline)]
                interrupt_after: Option<RawJson>,
                /// Seconds to wait before the run may start.
                #[serde(default)]
                #[schema(value_type = Option<f64>)]
                after_seconds: Option<serde_json::Number>,
                /// Deprecated: `false` is `durability: exit`.
                #[serde(default)]
                #[schema(default = false)]
                checkpoint_during: Option<bool>,
                #[serde(default)]
                #[schema(inline, default = "async")]
                durability: Option<Durability>,
                $($(#[$attribute])* $field: $type,)*
            }

            impl From<$name> for RunRequest {
                fn from(body: $name) -> Self {
                    Self {
                        assistant_id: body.assistant_id,
                        input: body.input,
                        command: body.command,
                        metadata: body.metadata,
                        config: body.config,
                        context: body.context,
                        webhook: body.webhook,
                        stream_mode: body.stream_mode,
                        stream_subgraphs: body.stream_subgraphs,
                        stream_resumable: body.stream_resumable,
                        feedback_keys: body.feedback_keys,
                        interrupt_before: body.interrupt_before,
                        interrupt_after: body.interrupt_after,
                        after_seconds: body.after_seconds,
                        checkpoint_during: body.checkpoint_during,
                        durability: body.durability,
                        $($field: body.$field,)*
                        ..Self::default()
                    }
                }
            }
        )*
    };
}

bodies! {
    /// A run on a thread.
    RunCreateStateful {
        #[serde(default, deserialize_with = "field::object")]
        checkpoint: Option<CheckpointConfig>,
        #[serde(default)]
        checkpoint_id: Option<String>,
        #[serde(default)]
        #[schema(value_type = Option<MultitaskStrategyName>, inline, default = "enqueue")]
        multitask_strategy: Option<MultitaskStrategy>,
        #[serde(default)]
        #[schema(inline, default = "reject")]
        if_not_exists: Option<IfNotExists>,
    }
    /// A run on a thread, whose client stays.
    RunCreateStreamingStateful {
        #[serde(default, deserialize_with = "field::object")]
        checkpoint: Option<CheckpointConfig>,
        #[serde(default)]
        checkpoint_id: Option<String>,
        #[serde(default)]
        #[schema(value_type = Option<MultitaskStrategyName>, inline, default = "enqueue")]
        multitask_strategy: Option<MultitaskStrategy>,
        #[serde(default)]
        #[schema(inline, default = "reject")]
        if_not_exists: Option<IfNotExists>,
        #[serde(default)]
        #[schema(inline, default = "continue")]
        on_disconnect: Option<OnDisconnect>,
    }
    /// A run on a thread of its own.
    RunCreateStateless {
        #[serde(default)]
        #[schema(value_type = Option<OnCompletionName>, inline, default = "delete")]
        on_completion: Option<OnCompletion>,
    }
    /// A run on a thread of its own, whose client stays.
    RunCreateStreamingStateless {
        #[serde(default)]
        #[schema(value_type = Option<OnCompletionName>, inline, default = "delete")]
        on_completion: Option<OnCompletion>,
        #[serde(default)]
        #[schema(inline, default = "continue")]
        on_disconnect: Option<OnDisconnect>,
    }
}

/// Runs, each on a thread of its own; at least one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Vec<RunCreateStateless>)]
pub(crate) struct RunBatchCreate(pub(crate) Vec<Object<RunCreateStateless>>);
