//! Namespaces of store items, their expiry and their filters.

use langopen_core::clock::Timestamp;
use langopen_core::json::RawJson;
use langopen_core::model::{ItemFilter, NamespaceQuery};
use serde_json::Value;

/// The namespaces that the query lists: cut to its depth, without duplicates, in order.
pub fn list(namespaces: impl Iterator<Item = Vec<String>>, query: &NamespaceQuery) -> Vec<Vec<String>> {
    query.list(namespaces)
}

/// When an item expires that is put or refreshed at `now`.
pub fn expiry(now: Timestamp, ttl_minutes: Option<f64>) -> Option<Timestamp> {
    // The cast saturates and turns NaN into zero, so an item with a TTL of NaN expires at once.
    ttl_minutes.map(|minutes| Timestamp::from_micros(now.as_micros().saturating_add((minutes * 60e6) as i64)))
}

/// Whether an item's value passes all filters.
pub fn passes(value: &RawJson, filters: &[ItemFilter]) -> bool {
    filters.is_empty() || value.decode::<Value>().is_ok_and(|value| filters.iter().all(|filter| filter.matches(&value)))
}
