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
    /// Labels from the outermost to the innermost.
    pub namespace: Vec<String>,
    /// Unique in its namespace.
    pub key: String,
    /// A JSON object.
    pub value: RawJson,
    /// When it was first put.
    pub created_at: Timestamp,
    /// When it was last put.
    pub updated_at: Timestamp,
}

/// An item to put.
#[derive(Debug, Clone)]
pub struct NewStoreItem {
    /// Labels from the outermost to the innermost.
    pub namespace: Vec<String>,
    /// Unique in its namespace.
    pub key: String,
    /// A JSON object.
    pub value: RawJson,
    /// Minutes until the item expires after its last put, or last read that refreshes; `None` for never.
    pub ttl_minutes: Option<f64>,
    /// The embeddings of its texts, for searches by similarity; they replace those of an item that exists.
    pub vectors: Vec<FieldVector>,
    /// The lease of the run that puts it; `None` for a request that belongs to no run. The storage keeps the item only
    /// while the lease holds.
    pub lease: Option<Lease>,
}

/// What one text of an item means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldVector {
    /// Where in the value the text stands; unique in the item.
    pub path: String,
    /// Its embedding.
    pub vector: Vec<f32>,
}

/// An item found by a search.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredItem {
    /// The item.
    pub item: StoreItem,
    /// The cosine similarity of its nearest vector to the query's, from -1 to 1; `None` when the search had no query,
    /// or the item has no vector.
    pub score: Option<f64>,
}

/// How a filter compares.
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
/// Order comparisons hold between two numbers or two texts; everything else compares as not ordered, which is false.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemFilter {
    /// The key.
    pub key: String,
    /// The comparison.
    pub operator: FilterOperator,
    /// What the value is compared with.
    pub value: Value,
}

impl ItemFilter {
    /// Whether an item's value passes.
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

/// Which items to find.
#[derive(Debug, Clone, Default)]
pub struct StoreItemQuery {
    /// The first labels of the namespace, whole labels only.
    pub namespace_prefix: Vec<String>,
    /// All of these hold.
    pub filters: Vec<ItemFilter>,
    /// Nearest to this first, items without a vector (of its length) last; `None` for no such order.
    pub vector: Option<Vec<f32>>,
    /// At most this many; otherwise most recently updated first.
    pub limit: u32,
    /// After skipping this many.
    pub offset: u32,
    /// Whether finding an item puts its expiry off.
    pub refresh_ttl: bool,
}

/// Which namespaces to list, in their order as lists of text.
#[derive(Debug, Clone, Default)]
pub struct NamespaceQuery {
    /// The first labels; `*` stands for any one label.
    pub prefix: Vec<String>,
    /// The last labels; `*` stands for any one label.
    pub suffix: Vec<String>,
    /// Namespaces are cut to this many labels, and then listed once each.
    pub max_depth: Option<u32>,
    /// At most this many.
    pub limit: u32,
    /// After skipping this many.
    pub offset: u32,
}

impl NamespaceQuery {
    /// Those of `namespaces` that the query lists, cut to its depth, each once, in order.
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

    /// Whether a namespace begins and ends as the query says; `*` stands for any one label.
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
