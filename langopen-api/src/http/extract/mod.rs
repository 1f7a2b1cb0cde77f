//! Extractors: the checked parts of a request that handlers take.

mod accept;
mod body;
mod budget;
mod duplicates;
pub(crate) mod field;
mod forwarded;
mod json;
mod path;
mod query;
mod scheme;
mod text;

pub(crate) use accept::accepts;
pub(crate) use body::{Body, BodyLimits, ListBody, SmallBody, read_body};
pub use budget::BodyBudget;
pub(crate) use budget::{HeldBytes, hold_bodies};
pub(crate) use field::Object;
pub(crate) use forwarded::Forwarded;
pub(crate) use json::parse as parse_json;
pub(crate) use path::{AssistantIdText, AssistantPath, CronPath, NewRunPath, RunPath, ThreadPath, parse_id};
pub(crate) use query::Query;
pub(crate) use scheme::forwarded_scheme;
