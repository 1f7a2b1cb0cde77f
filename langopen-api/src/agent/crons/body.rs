//! The bodies of requests that create and update crons.

use langopen_core::model::{MultitaskStrategy, OnCompletion};
use langopen_core::run_plan::{Durability, stream_modes};
use langopen_core::{JsonMap, RawJson, RawObject};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::agent::run_body::nodes;
use crate::agent::wire::{Config, Nodes, StreamModes};
use crate::http::extract::field;

/// Checks stream modes, and keeps their JSON text.
fn modes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RawJson>, D::Error> {
    let Some(raw) = Option::<RawJson>::deserialize(deserializer)? else { return Ok(None) };
    let mut text = serde_json::Deserializer::from_str(raw.as_str());
    stream_modes(&mut text).map_err(serde::de::Error::custom)?;
    Ok(Some(raw))
}

/// A field in which `null` and absence have different meanings.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// The fields of all three bodies.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub(super) assistant_id: String,
    pub(super) schedule: Option<String>,
    pub(super) timezone: Option<String>,
    pub(super) end_time: Option<Option<String>>,
    pub(super) metadata: Option<JsonMap>,
    pub(super) config: Option<JsonMap>,
    pub(super) context: Option<JsonMap>,
    pub(super) enabled: Option<bool>,
    pub(super) on_run_completed: Option<OnCompletion>,
    pub(super) multitask_strategy: Option<MultitaskStrategy>,
    input: Option<RawJson>,
    webhook: Option<String>,
    interrupt_before: Option<RawJson>,
    interrupt_after: Option<RawJson>,
    stream_mode: Option<RawJson>,
    stream_subgraphs: Option<bool>,
    stream_resumable: Option<bool>,
    durability: Option<Durability>,
}

impl Given {
    /// The given fields, in the form of the cron's payload.
    pub(super) fn payload(&self) -> serde_json::Result<RawObject> {
        fn put(payload: &mut RawObject, key: &str, value: Option<&impl Serialize>) -> serde_json::Result<()> {
            if let Some(value) = value {
                payload.insert(key, RawJson::of(value)?);
            }
            Ok(())
        }
        let mut payload = RawObject::default();
        let to = &mut payload;
        put(to, "schedule", self.schedule.as_ref())?;
        put(to, "input", self.input.as_ref())?;
        put(to, "metadata", self.metadata.as_ref())?;
        put(to, "config", self.config.as_ref())?;
        put(to, "context", self.context.as_ref())?;
        put(to, "timezone", self.timezone.as_ref())?;
        put(to, "end_time", self.end_time.as_ref())?;
        put(to, "enabled", self.enabled.as_ref())?;
        put(to, "on_run_completed", self.on_run_completed.as_ref())?;
        put(to, "multitask_strategy", self.multitask_strategy.as_ref())?;
        put(to, "webhook", self.webhook.as_ref())?;
        put(to, "interrupt_before", self.interrupt_before.as_ref())?;
        put(to, "interrupt_after", self.interrupt_after.as_ref())?;
        put(to, "stream_mode", self.stream_mode.as_ref())?;
        put(to, "stream_subgraphs", self.stream_subgraphs.as_ref())?;
        put(to, "stream_resumable", self.stream_resumable.as_ref())?;
        put(to, "durability", self.durability.as_ref())?;
        Ok(payload)
    }
}

/// The three bodies share most fields. Serde's `flatten` cannot carry raw JSON text, so a macro repeats the fields.
macro_rules! bodies {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty => $given:expr,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Deserialize, ToSchema)]
            pub(super) struct $name {
                $($(#[$attribute])* $field: $type,)*
                /// The IANA time zone of the schedule; UTC if absent.
                #[serde(default)]
                #[schema(example = "America/New_York")]
                timezone: Option<String>,
                /// The graph's input.
                #[serde(default)]
                #[schema(value_type = Option<serde_json::Value>)]
                input: Option<RawJson>,
                /// The metadata of the cron and of its runs.
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
                /// The nodes before which the run stops: `"*"` or a list.
                #[serde(default, deserialize_with = "nodes")]
                #[schema(value_type = Option<Nodes>, inline)]
                interrupt_before: Option<RawJson>,
                /// The nodes after which the run stops: `"*"` or a list.
                #[serde(default, deserialize_with = "nodes")]
                #[schema(value_type = Option<Nodes>, inline)]
                interrupt_after: Option<RawJson>,
                /// Whether the cron fires.
                #[serde(default)]
                #[schema(default = true)]
                enabled: Option<bool>,
                /// One or more modes; `["values"]` if absent.
                #[serde(default, deserialize_with = "modes")]
                #[schema(value_type = Option<StreamModes>, inline, default = json!(["values"]))]
                stream_mode: Option<RawJson>,
                #[serde(default)]
                #[schema(default = false)]
                stream_subgraphs: Option<bool>,
                /// Keeps the events, so that readers can resume.
                #[serde(default)]
                #[schema(default = false)]
                stream_resumable: Option<bool>,
                #[serde(default)]
                #[schema(inline, default = "async")]
                durability: Option<Durability>,
            }

            impl From<$name> for Given {
                fn from(body: $name) -> Self {
                    Self {
                        timezone: body.timezone,
                        input: body.input,
                        metadata: body.metadata,
                        config: body.config,
                        context: body.context,
                        webhook: body.webhook,
                        interrupt_before: body.interrupt_before,
                        interrupt_after: body.interrupt_after,
                        enabled: body.enabled,
                        stream_mode: body.stream_mode,
                        stream_subgraphs: body.stream_subgraphs,
                        stream_resumable: body.stream_resumable,
                        durability: body.durability,
                        $($field: $given(body.$field),)*
                        ..Self::default()
                    }
                }
            }
        )*
    };
}

bodies! {
    /// A cron that creates a new thread for each run.
    CronCreate {
        /// An assistant's UUID, or a graph's id for its system assistant.
        assistant_id: String => std::convert::identity,
        /// Minute, hour, day of the month, month and day of the week; seconds may follow.
        #[schema(example = "*/5 * * * *")]
        schedule: String => Some,
        /// The cron does not fire at or after this time.
        #[serde(default)]
        #[schema(format = DateTime)]
        end_time: Option<String> => |given: Option<String>| given.map(Some),
        /// The fate of a run's thread when the run has ended.
        #[serde(default)]
        #[schema(inline, default = "delete")]
        on_run_completed: Option<OnCompletion> => std::convert::identity,
    }
    /// A cron on a thread.
    ThreadCronCreate {
        /// An assistant's UUID, or a graph's id for its system assistant.
        assistant_id: String => std::convert::identity,
        /// Minute, hour, day of the month, month and day of the week; seconds may follow.
        #[schema(example = "*/5 * * * *")]
        schedule: String => Some,
        /// The cron does not fire at or after this time.
        #[serde(default)]
        #[schema(format = DateTime)]
        end_time: Option<String> => |given: Option<String>| given.map(Some),
        #[serde(default)]
        #[schema(inline, default = "enqueue")]
        multitask_strategy: Option<MultitaskStrategy> => std::convert::identity,
    }
    /// An update of a cron. Metadata is merged; every other field replaces the old value.
    CronPatch {
        /// Minute, hour, day of the month, month and day of the week; seconds may follow.
        #[serde(default)]
        #[schema(example = "*/5 * * * *")]
        schedule: Option<String> => std::convert::identity,
        /// The cron does not fire at or after this time; `null` removes the limit.
        #[serde(default, deserialize_with = "nullable")]
        #[schema(value_type = Option<String>, format = DateTime)]
        end_time: Option<Option<String>> => std::convert::identity,
        /// The fate of a run's thread when the run has ended. A cron on a thread ignores it.
        #[serde(default)]
        #[schema(inline)]
        on_run_completed: Option<OnCompletion> => std::convert::identity,
    }
}
