//! The key `checkpointer`: short-term memory of threads.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::secret::Secret;
use super::section::Section;
use super::target::Target;

/// Which checkpointer stores checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CheckpointerBackend {
    /// The platform's own storage.
    #[default]
    Default,
    /// The user's own checkpointer.
    Custom,
    /// MongoDB.
    Mongo,
}

/// What happens to an expired thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum TtlStrategy {
    /// The sweep deletes the thread.
    #[default]
    Delete,
    /// The sweep keeps the thread with its latest state.
    KeepLatest,
}

/// Which Python classes a checkpoint may hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AllowedModules {
    /// The key is absent.
    #[default]
    Unset,
    /// Every class.
    All,
    /// Only the library's list of safe classes.
    Safe,
    /// The safe classes, and those listed, each as the parts of its dotted name.
    Listed(Vec<Vec<String>>),
}

/// The lifetime of threads.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ThreadTtl {
    /// What happens to expired threads.
    pub strategy: TtlStrategy,
    /// The lifetime in minutes; absent: threads do not expire.
    pub default_ttl: Option<f64>,
    /// Minutes between two sweeps.
    pub sweep_interval_minutes: Option<f64>,
    /// The most threads per sweep.
    pub sweep_limit: Option<u64>,
}

/// How checkpoints are serialized.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SerdeConfig {
    /// For data stored as JSON.
    pub allowed_json_modules: AllowedModules,
    /// For data stored as MessagePack.
    pub allowed_msgpack_modules: AllowedModules,
    /// Whether pickle may be used; absent: true.
    pub pickle_fallback: Option<bool>,
}

impl SerdeConfig {
    /// The document for Python hosts. It has only the keys that are set. For the modules, `true` means every class and
    /// `null` only the safe ones.
    #[must_use]
    pub fn document(&self) -> Value {
        let mut document = serde_json::Map::new();
        let modules = [
            ("allowed_json_modules", &self.allowed_json_modules),
            ("allowed_msgpack_modules", &self.allowed_msgpack_modules),
        ];
        for (key, modules) in modules {
            let value = match modules {
                AllowedModules::Unset => continue,
                AllowedModules::All => Value::Bool(true),
                AllowedModules::Safe => Value::Null,
                AllowedModules::Listed(names) => Value::from(names.clone()),
            };
            document.insert(key.to_owned(), value);
        }
        if let Some(fallback) = self.pickle_fallback {
            document.insert("pickle_fallback".to_owned(), Value::Bool(fallback));
        }
        Value::Object(document)
    }
}

/// Short-term memory of threads.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CheckpointerConfig {
    /// Which checkpointer stores checkpoints.
    pub backend: CheckpointerBackend,
    /// A checkpointer of the user's own.
    pub path: Option<Target>,
    /// The backend's address, which may hold a password.
    pub uri: Option<Secret>,
    /// The lifetime of threads.
    pub ttl: Option<ThreadTtl>,
    /// How checkpoints are serialized.
    pub serde: Option<SerdeConfig>,
}

pub(super) fn read(section: &Section<'_>) -> CheckpointerConfig {
    let backends = [
        ("default", CheckpointerBackend::Default),
        ("custom", CheckpointerBackend::Custom),
        ("mongo", CheckpointerBackend::Mongo),
    ];
    CheckpointerConfig {
        backend: section.choice("backend", &backends).unwrap_or_default(),
        path: section.target("path"),
        uri: section.text("uri").map(Secret::from),
        ttl: section.section("ttl", ttl),
        serde: section.section("serde", |serde| SerdeConfig {
            allowed_json_modules: modules(serde, "allowed_json_modules"),
            allowed_msgpack_modules: modules(serde, "allowed_msgpack_modules"),
            pickle_fallback: serde.flag("pickle_fallback"),
        }),
    }
}

fn ttl(section: &Section<'_>) -> ThreadTtl {
    let strategies = [("delete", TtlStrategy::Delete), ("keep_latest", TtlStrategy::KeepLatest)];
    ThreadTtl {
        strategy: section.choice("strategy", &strategies).unwrap_or_default(),
        default_ttl: section.minutes("default_ttl"),
        sweep_interval_minutes: section.minutes("sweep_interval_minutes"),
        sweep_limit: section.whole("sweep_limit", 1..=u64::MAX, "of threads"),
    }
}

fn modules(section: &Section<'_>, key: &'static str) -> AllowedModules {
    let Some(value) = section.get_or_null(key) else { return AllowedModules::Unset };
    match value {
        Value::Null | Value::Bool(false) => return AllowedModules::Safe,
        Value::Bool(true) => return AllowedModules::All,
        _ => {}
    }
    let names = value.as_array().and_then(|items| {
        let parts = |item: &Value| -> Option<Vec<String>> {
            item.as_array()?.iter().map(|part| part.as_str().map(str::to_owned)).collect()
        };
        items.iter().map(parts).collect::<Option<Vec<_>>>()
    });
    names.map(AllowedModules::Listed).unwrap_or_else(|| {
        section.wrong(key, value, "true, false, null or a list of names like [\"package\", \"module\", \"Class\"]");
        AllowedModules::Unset
    })
}
