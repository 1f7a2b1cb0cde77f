//! Merging documents, cutting pages, and checking whether a scope shows a row.

use std::fmt;

use langopen_core::error::Error;
use langopen_core::json::JsonMap;
use langopen_core::model::Page;
use langopen_core::tenant::{Scope, Tenant};
use serde_json::Value;

/// The error for an order that this backend does not know, because a newer core added it.
pub fn cannot_sort(operation: &'static str, by: impl fmt::Debug) -> Error {
    Error::invalid(operation, format!("this storage cannot sort by {by:?}; update the storage crate"))
}

/// Whether the scope shows a row of `tenant` with this metadata.
pub fn in_scope(scope: &Scope, tenant: &Tenant, metadata: &JsonMap) -> bool {
    scope.tenant == *tenant && passes(scope, metadata)
}

/// Whether metadata passes the scope's filter.
pub fn passes(scope: &Scope, metadata: &JsonMap) -> bool {
    scope.filter.as_ref().is_none_or(|filter| filter.matches(metadata))
}

/// Copies every key of `from` into `into`; a key that exists in both takes the new value.
pub fn merge(into: &mut JsonMap, from: JsonMap) {
    for (key, value) in from {
        into.insert(key, value);
    }
}

/// Merges a run's config into its thread's. Merges `configurable` and `metadata` key by key; replaces all other keys.
pub fn merge_config(into: &mut JsonMap, from: JsonMap) {
    for (key, value) in from {
        match (key.as_str(), into.get_mut(&key), value) {
            ("configurable" | "metadata", Some(Value::Object(held)), Value::Object(new)) => merge(held, new),
            (_, _, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// The page that `offset` and `limit` cut out of sorted rows.
pub fn page<T>(rows: impl IntoIterator<Item = T>, offset: u32, limit: u32) -> Page<T> {
    let mut rest = rows.into_iter().skip(offset as usize);
    let items: Vec<T> = rest.by_ref().take(limit as usize).collect();
    let more = rest.next().is_some();
    Page { items, more }
}
