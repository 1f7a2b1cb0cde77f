//! Spans that ended in another process, and the ids that all spans of a run carry.

use serde::Deserialize;

use super::TraceContext;
use crate::Tenant;
use crate::model::Run;

/// The value of a span's attribute.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum AttributeValue {
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(String),
}

impl From<&str> for AttributeValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for AttributeValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// A span that has ended in a process without an exporter: a graph host.
#[derive(Debug, Clone, PartialEq)]
pub struct HostSpan {
    /// Its own place.
    pub context: TraceContext,
    /// The span above it in the same trace, 16 hexadecimal digits.
    pub parent_span_id: String,
    /// Its name.
    pub name: String,
    /// When it began, in nanoseconds since the Unix epoch.
    pub start: u64,
    /// When it ended, in nanoseconds since the Unix epoch.
    pub end: u64,
    /// Its attributes.
    pub attributes: Vec<(String, AttributeValue)>,
    /// Why it failed; `None` if it did not.
    pub error: Option<String>,
}

/// The ids of a run's attempt, under the names that log records use.
pub fn run_ids(run: &Run, tenant: &Tenant) -> Vec<(&'static str, AttributeValue)> {
    let mut ids = vec![
        ("run_id", run.run_id.to_string().into()),
        ("thread_id", run.thread_id.to_string().into()),
        ("assistant_id", run.assistant_id.to_string().into()),
        ("graph_id", run.graph_id.as_str().into()),
        ("attempt", AttributeValue::Integer(i64::from(run.attempt))),
        ("organization", tenant.organization().into()),
        ("project", tenant.project().into()),
        ("deployment", tenant.deployment().into()),
    ];
    ids.extend(run.origin.request_id.as_deref().map(|id| ("request_id", id.into())));
    ids
}
