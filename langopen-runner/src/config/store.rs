//! The key `store`: long-term memory.

use serde::{Deserialize, Serialize};

use super::section::Section;
use super::target::Target;

/// Long-term memory.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StoreConfig {
    /// A store of the user's own.
    pub path: Option<Target>,
    /// Semantic search; absent: disabled.
    pub index: Option<StoreIndex>,
    /// The lifetime of items.
    pub ttl: Option<StoreTtl>,
}

/// The index for semantic search. It serializes to the form that graph hosts expect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreIndex {
    /// The length of an embedding vector.
    pub dims: u64,
    /// `provider:model`, or `path/to/file.py:function`.
    pub embed: String,
    /// The embedded fields of an item; absent: the whole item.
    pub fields: Option<Vec<String>>,
}

/// The lifetime of items.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StoreTtl {
    /// Whether a read of an item restarts its lifetime; absent: true.
    pub refresh_on_read: Option<bool>,
    /// The lifetime in minutes; absent: items do not expire.
    pub default_ttl: Option<f64>,
    /// Minutes between two sweeps.
    pub sweep_interval_minutes: Option<f64>,
}

pub(super) fn read(section: &Section<'_>) -> StoreConfig {
    StoreConfig {
        path: section.target("path"),
        index: section.section("index", index).flatten(),
        ttl: section.section("ttl", |ttl| StoreTtl {
            refresh_on_read: ttl.flag("refresh_on_read"),
            default_ttl: ttl.minutes("default_ttl"),
            sweep_interval_minutes: ttl.minutes("sweep_interval_minutes"),
        }),
    }
}

fn index(section: &Section<'_>) -> Option<StoreIndex> {
    for (key, example) in [("dims", "\"dims\": 1536"), ("embed", "\"embed\": \"openai:text-embedding-3-small\"")] {
        if section.get(key).is_none() {
            let message = format!("the key `{key}` is missing");
            section.context.report("store.index", message, format!("Add it, as in {example}."));
        }
    }
    let fields = section.texts("fields");
    let dims = section.whole("dims", 1..=u64::MAX, "of dimensions");
    let embed = section.text("embed");
    Some(StoreIndex { dims: dims?, embed: embed?, fields })
}
