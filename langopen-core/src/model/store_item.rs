//! Items of the long-term store.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::json::RawJson;
use crate::queue::Lease;

/// A document under a namespace and a key.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreItem {
    /// Labels, outermost first.
    pub namespace: Vec<String>,
    /// Unique in its namespace.
    pub key: String,
    /// A JSON object.
    pub value: RawJson,
    /// When the item was created.
    pub created_at: Timestamp,
    /// When the item was last put.
    pub updated_at: Timestamp,
}

/// An item to put.
#[derive(Debug, Clone)]
pub struct NewStoreItem {
    /// Labels, outermost first.
    pub namespace: Vec<String>,
    /// Unique in its namespace.
    pub key: String,
    /// A JSON object.
    pub value: RawJson,
    /// Minutes from the last put or refreshing read until the item expires; `None` for an item that never expires.
    pub ttl_minutes: Option<f64>,
    /// The embeddings of its texts, for similarity search. They replace the embeddings of an existing item.
    pub vectors: Vec<FieldVector>,
    /// The lease of the run that puts the item; `None` for a request outside of a run. The storage accepts the item
    /// only while the lease holds.
    pub lease: Option<Lease>,
}

/// The embedding of one text of an item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldVector {
    /// The path of the text in the item's value; unique in the item.
    pub path: String,
    /// Its embedding.
    pub vector: Vec<f32>,
}

/// An item found by a search.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredItem {
    /// The item.
    pub item: StoreItem,
    /// The cosine similarity of the item's nearest vector to the query's vector, from -1 to 1. `None` if the search had
    /// no vector or the item has none.
    pub score: Option<f64>,
}

/// A comparison operator of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum FilterOperator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl FilterOperator {
    /// Reads `$eq`, `$ne`, `$gt`, `$gte`, `$lt`, `$lte`.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "$eq" => Self::Equal,
            "$ne" => Self::NotEqual,
            "$gt" => Self::Greater,
            "$gte" => Self::GreaterOrEqual,
            "$lt" => Self::Less,
            "$lte" => Self::LessOrEqual,
            _ => return None,
        })
    }
}

/// A condition on a top-level key of an item's value.
///
/// Order comparisons apply only to two numbers or two texts; for other values they are false.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemFilter {
    /// The key.
    pub key: String,
    /// The comparison.
    pub operator: FilterOperator,
    /// The value to compare with.
    pub value: Value,
}

impl ItemFilter {
    /// Whether an item's value meets the condition.
    pub fn matches(&self, value: &Value) -> bool {
        let held = value.get(&self.key).unwrap_or(&Value::Null);
        let order = match (held, &self.value) {
            (Value::Number(a), Value::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()),
            (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
            _ => None,
        };
        match self.operator {
            FilterOperator::Equal => held == &self.value || order.is_some_and(|order| order.is_eq()),
            FilterOperator::NotEqual => held != &self.value && !order.is_some_and(|order| order.is_eq()),
            FilterOperator::Greater => order.is_some_and(|order| order.is_gt()),
            FilterOperator::GreaterOrEqual => order.is_some_and(|order| order.is_ge()),
            FilterOperator::Less => order.is_some_and(|order| order.is_lt()),
            FilterOperator::LessOrEqual => order.is_some_and(|order| order.is_le()),
        }
    }
}

/// How an item is read.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct ItemReadOptions {
    /// Whether the read restarts the item's time to live.
    pub refresh_ttl: bool,
}

setters! {
    ItemReadOptions {
        with_refresh_ttl refresh_ttl: bool,
    }
}

/// A search for items.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct StoreItemQuery {
    /// The first labels of the namespace, matched as whole labels.
    pub namespace_prefix: Vec<String>,
    /// Conditions that must all hold.
    pub filters: Vec<ItemFilter>,
    /// The vector to sort by: nearest items first, items without a vector of its length last. `None` sorts by the last
    /// update, newest first.
    pub vector: Option<Vec<f32>>,
    /// The most items to return.
    pub limit: u32,
    /// The number of items to skip.
    pub offset: u32,
    /// Whether the search restarts the time to live of the items that it finds.
    pub refresh_ttl: bool,
}

setters! {
    StoreItemQuery {
        with_namespace_prefix namespace_prefix: Vec<String>,
        with_filters filters: Vec<ItemFilter>,
        with_vector vector: Option<Vec<f32>>,
        with_limit limit: u32,
        with_offset offset: u32,
        with_refresh_ttl refresh_ttl: bool,
    }
}

/// A query for namespaces. The answer is sorted as lists of text.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct NamespaceQuery {
    /// The first labels; `*` matches any one label.
    pub prefix: Vec<String>,
    /// The last labels; `*` matches any one label.
    pub suffix: Vec<String>,
    /// Truncates namespaces to this many labels; duplicates are listed once.
    pub max_depth: Option<u32>,
    /// The most namespaces to return.
    pub limit: u32,
    /// The number of namespaces to skip.
    pub offset: u32,
}

setters! {
    NamespaceQuery {
        with_prefix prefix: Vec<String>,
        with_suffix suffix: Vec<String>,
        with_max_depth max_depth: Option<u32>,
        with_limit limit: u32,
        with_offset offset: u32,
    }
}

impl NamespaceQuery {
    /// Applies the query to `namespaces`: filters, truncates, removes duplicates, sorts and pages them.
    pub fn list(&self, namespaces: impl Iterator<Item = Vec<String>>) -> Vec<Vec<String>> {
        let depth = self.max_depth.map_or(usize::MAX, |depth| depth as usize);
        let found: BTreeSet<Vec<String>> = namespaces
            .filter(|namespace| self.fits(namespace))
            .map(|mut namespace| {
                namespace.truncate(depth);
                namespace
            })
            .collect();
        found.into_iter().skip(self.offset as usize).take(self.limit as usize).collect()
    }

    /// Whether a namespace matches the prefix and the suffix.
    fn fits(&self, namespace: &[String]) -> bool {
        let fit = |held: &[String], wanted: &[String]| {
            held.iter().zip(wanted).all(|(held, wanted)| wanted == "*" || held == wanted)
        };
        let (prefix, suffix) = (&self.prefix, &self.suffix);
        namespace.len() >= prefix.len().max(suffix.len())
            && fit(namespace, prefix)
            && fit(&namespace[namespace.len() - suffix.len()..], suffix)
    }
}
