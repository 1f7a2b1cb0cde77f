//! Namespaces of store items.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::clock::Timestamp;
use crate::json::RawJson;
use crate::model::{ItemFilter, NamespaceQuery};

/// Whether a namespace begins and ends as the query says; `*` stands for any one label.
fn fits(namespace: &[String], query: &NamespaceQuery) -> bool {
    let fit = |held: &[String], wanted: &[String]| {
        held.iter().zip(wanted).all(|(held, wanted)| wanted == "*" || held == wanted)
    };
    let (prefix, suffix) = (&query.prefix, &query.suffix);
    namespace.len() >= prefix.len().max(suffix.len())
        && fit(namespace, prefix)
        && fit(&namespace[namespace.len() - suffix.len()..], suffix)
}

/// The namespaces that a query lists, cut to its depth, each once, in order.
pub(crate) fn list(namespaces: impl Iterator<Item = Vec<String>>, query: &NamespaceQuery) -> Vec<Vec<String>> {
    let depth = query.max_depth.map_or(usize::MAX, |depth| depth as usize);
    let found: BTreeSet<Vec<String>> = namespaces
        .filter(|namespace| fits(namespace, query))
        .map(|mut namespace| {
            namespace.truncate(depth);
            namespace
        })
        .collect();
    found.into_iter().skip(query.offset as usize).take(query.limit as usize).collect()
}

/// When an item expires that was put or refreshed now.
pub(crate) fn expiry(now: Timestamp, ttl_minutes: Option<f64>) -> Option<Timestamp> {
    // The cast saturates, and what is not a number becomes zero: such an item expires at once.
    ttl_minutes.map(|minutes| Timestamp::from_micros(now.as_micros().saturating_add((minutes * 60e6) as i64)))
}

/// Whether an item's value passes all filters.
pub(crate) fn passes(value: &RawJson, filters: &[ItemFilter]) -> bool {
    filters.is_empty() || value.decode::<Value>().is_ok_and(|value| filters.iter().all(|filter| filter.matches(&value)))
}
