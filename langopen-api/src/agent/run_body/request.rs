//! The bodies of requests that create runs.

use langopen_core::model::{MultitaskStrategy, OnCompletion};
use langopen_core::run_plan::{CheckpointRef, Durability, IfNotExists, RunRequest, StreamMode, stream_modes};
use langopen_core::{JsonMap, RawJson};
use serde::Deserialize;
use utoipa::openapi::schema::{ArrayBuilder, Schema};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::check;
use crate::agent::wire::{CheckpointConfig, Command, Config, Nodes, OnDisconnect, StreamModes};
use crate::http::extract::field::{self, Object};

/// The fields of all four bodies.
#[derive(Debug)]
pub(crate) struct RunCreate {
    pub(crate) assistant_id: String,
    pub(crate) on_disconnect: OnDisconnect,
    pub(crate) request: RunRequest,
}

/// The four bodies share most fields. Serde's `flatten` cannot carry raw JSON text, so a macro repeats the fields.
macro_rules! bodies {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Deserialize, ToSchema)]
            pub(crate) struct $name {
                /// An assistant's UUID, or a graph's id for its system assistant.
                assistant_id: String,
                /// The graph's input.
                #[serde(default)]
                #[schema(value_type = Option<serde_json::Value>)]
                input: Option<RawJson>,
                #[serde(default, deserialize_with = "check::command")]
                #[schema(value_type = Option<Command>)]
                command: Option<RawJson>,
                #[serde(default, deserialize_with = "field::map")]
                #[schema(value_type = Option<Object>)]
                metadata: Option<JsonMap>,
                #[serde(default, deserialize_with = "crate::agent::wire::config")]
                #[schema(value_type = Option<Config>)]
                config: Option<JsonMap>,
                /// The run-time context. A request cannot have both `context` and `config.configurable`.
                #[serde(default, deserialize_with = "field::map")]
                #[schema(value_type = Option<Object>)]
                context: Option<JsonMap>,
                #[serde(default, deserialize_with = "crate::agent::wire::webhook")]
                #[schema(min_length = 1, max_length = 65536)]
                webhook: Option<String>,
                /// One or more modes; `["values"]` if absent.
                #[serde(default, deserialize_with = "stream_modes")]
                #[schema(value_type = Option<StreamModes>, inline, default = json!(["values"]))]
                stream_mode: Option<Vec<StreamMode>>,
                #[serde(default)]
                #[schema(default = false)]
                stream_subgraphs: Option<bool>,
                /// Keeps the events, so that readers can resume.
                #[serde(default)]
                #[schema(default = false)]
                stream_resumable: Option<bool>,
                #[serde(default)]
                feedback_keys: Option<Vec<String>>,
                /// The nodes before which the run stops: `"*"` or a list.
                #[serde(default, deserialize_with = "check::nodes")]
                #[schema(value_type = Option<Nodes>, inline)]
                interrupt_before: Option<RawJson>,
                /// The nodes after which the run stops: `"*"` or a list.
                #[serde(default, deserialize_with = "check::nodes")]
                #[schema(value_type = Option<Nodes>, inline)]
                interrupt_after: Option<RawJson>,
                /// The delay in seconds before the run may start.
                #[serde(default)]
                #[schema(value_type = Option<f64>)]
                after_seconds: Option<serde_json::Number>,
                /// Deprecated: `false` means `durability: exit`.
                #[serde(default)]
                #[schema(default = false)]
                checkpoint_during: Option<bool>,
                #[serde(default)]
                #[schema(inline, default = "async")]
                durability: Option<Durability>,
                $($(#[$attribute])* $field: $type,)*
            }

            impl From<$name> for RunCreate {
                fn from(body: $name) -> Self {
                    let mut create = Self {
                        assistant_id: body.assistant_id,
                        on_disconnect: OnDisconnect::default(),
                        request: RunRequest::default().with_input(body.input).with_command(body.command).with_metadata(body.metadata).with_config(body.config).with_context(body.context).with_webhook(body.webhook).with_stream_mode(body.stream_mode).with_stream_subgraphs(body.stream_subgraphs).with_stream_resumable(body.stream_resumable).with_feedback_keys(body.feedback_keys).with_interrupt_before(body.interrupt_before).with_interrupt_after(body.interrupt_after).with_after_seconds(body.after_seconds).with_checkpoint_during(body.checkpoint_during).with_durability(body.durability),
                    };
                    $(create.$field(body.$field);)*
                    create
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
        #[schema(inline, default = "enqueue")]
        multitask_strategy: Option<MultitaskStrategy>,
        #[serde(default)]
        #[schema(inline, default = "reject")]
        if_not_exists: Option<IfNotExists>,
    }
    /// A run on a thread, for a client that stays connected.
    RunCreateStreamingStateful {
        #[serde(default, deserialize_with = "field::object")]
        checkpoint: Option<CheckpointConfig>,
        #[serde(default)]
        checkpoint_id: Option<String>,
        #[serde(default)]
        #[schema(inline, default = "enqueue")]
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
        #[schema(inline, default = "delete")]
        on_completion: Option<OnCompletion>,
    }
    /// A run on a thread of its own, for a client that stays connected.
    RunCreateStreamingStateless {
        #[serde(default)]
        #[schema(inline, default = "delete")]
        on_completion: Option<OnCompletion>,
        #[serde(default)]
        #[schema(inline, default = "continue")]
        on_disconnect: Option<OnDisconnect>,
    }
}

/// Setters for the fields that only some of the bodies have.
impl RunCreate {
    fn checkpoint(&mut self, given: Option<CheckpointConfig>) {
        self.request.checkpoint = given.map(|given| CheckpointRef {
            checkpoint_id: given.checkpoint_id,
            checkpoint_ns: given.checkpoint_ns,
            checkpoint_map: given.checkpoint_map,
        });
    }

    fn checkpoint_id(&mut self, given: Option<String>) {
        self.request.checkpoint_id = given;
    }

    fn multitask_strategy(&mut self, given: Option<MultitaskStrategy>) {
        self.request.multitask_strategy = given;
    }

    fn if_not_exists(&mut self, given: Option<IfNotExists>) {
        self.request.if_not_exists = given;
    }

    fn on_completion(&mut self, given: Option<OnCompletion>) {
        self.request.on_completion = given;
    }

    fn on_disconnect(&mut self, given: Option<OnDisconnect>) {
        self.on_disconnect = given.unwrap_or_default();
    }
}

/// One or more runs, each on a thread of its own.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct RunBatchCreate(pub(crate) Vec<Object<RunCreateStateless>>);

impl PartialSchema for RunBatchCreate {
    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new().items(Ref::from_schema_name("RunCreateStateless")).min_items(Some(1)).into()
    }
}

impl ToSchema for RunBatchCreate {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((RunCreateStateless::name().into(), RunCreateStateless::schema()));
        RunCreateStateless::schemas(schemas);
    }
}
