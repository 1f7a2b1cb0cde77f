//! Extractors: the checked parts of a request that handlers take.

mod accept;
mod body;
mod budget;
mod buffered;
mod content_type;
mod duplicates;
pub(crate) mod field;
mod json;
mod path;
mod query;
mod scheme;
mod text;

pub(crate) use accept::accepts;
pub(crate) use body::{Body, BodyLimits, BodyRules, ListBody, SmallBody};
pub use budget::BodyBudget;
pub(crate) use budget::{HeldBytes, hold_bodies};
pub(crate) use buffered::{buffer, buffer_body, buffered_body};
pub(crate) use field::Object;
pub(crate) use json::parse as parse_json;
pub(crate) use path::{param, parse_id};
pub(crate) use query::Query;
pub(crate) use scheme::forwarded_scheme;
