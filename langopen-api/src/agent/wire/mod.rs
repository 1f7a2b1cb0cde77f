//! The wire formats of rows.

mod assistant;
mod cron;
mod entries;
mod message;
mod page;
mod run;
mod schema;
mod state;
mod thread;

pub(crate) use assistant::{AssistantBody, AssistantVersionBody};
pub(crate) use cron::CronBody;
pub(crate) use entries::{Entries, concat_objects, selected};
pub(crate) use message::message_text;
pub(crate) use page::{Listing, json};
pub(crate) use run::RunBody;
pub(crate) use schema::{
    AssistantField, CancelActionName, CheckpointConfig, Command, Config, CronField, DurabilityName, IfExistsName,
    IfNotExistsName, MultitaskStrategyName, Nodes, OnCompletionName, OnDisconnect, RunField, RunStatusName, Send,
    SortOrderName, StreamModes, ThreadField, ThreadStatusName, Updates,
};
pub(crate) use state::ThreadStateBody;
pub(crate) use thread::{PruneStrategyName, ThreadBody, TtlBody};
