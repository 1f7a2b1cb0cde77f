//! The wire formats of rows.

mod assistant;
mod config;
mod cron;
mod message;
mod page;
mod run;
mod schema;
mod state;
mod thread;

pub(crate) use crate::http::entries::{Entries, concat_objects, selected};
pub(crate) use assistant::{AssistantBody, AssistantVersionBody};
pub(crate) use config::{config, webhook};
pub(crate) use cron::CronBody;
pub(crate) use message::message_text;
pub(crate) use page::{Listing, json};
pub(crate) use run::RunBody;
pub(crate) use schema::{
    AssistantField, CheckpointConfig, Command, Config, CronField, Nodes, OnDisconnect, RunField, Send, StreamModes,
    ThreadField, Updates,
};
pub(crate) use state::ThreadStateBody;
pub(crate) use thread::{ThreadBody, TtlBody};
