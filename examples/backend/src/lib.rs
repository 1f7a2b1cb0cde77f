//! Parts of a backend of your own: the long-term store, the API keys and the deployments of an installation.
//!
//! The platform takes each part as a trait object, so you can replace one part and leave the others as they are. This
//! example keeps its data in memory; put your database in its place. It uses only published crates:
//!
//! - `langopen-core` has the traits. Their documentation states what an implementation must promise.
//! - `langopen-backends` without features has the rules that all backends share, for example which names are valid.
//! - `langopen-testkit` has the tests of these promises. `tests/conformance.rs` runs them.

#![forbid(unsafe_code)]

mod api_keys;
mod deployments;
mod store_items;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use langopen_core::model::{Deployment, StoredApiKey};
use langopen_core::{ApiKeyId, Clock, Tenant};
use parking_lot::Mutex;

use store_items::{ItemKey, ItemRow};

/// A backend of three traits. Each call locks the one table that it uses, so it takes effect completely or not at all.
pub struct MyBackend {
    clock: Arc<dyn Clock>,
    items: Mutex<BTreeMap<ItemKey, ItemRow>>,
    keys: Mutex<HashMap<ApiKeyId, StoredApiKey>>,
    deployments: Mutex<BTreeMap<Tenant, Deployment>>,
}

impl MyBackend {
    /// An empty backend. The tests control the time through `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, items: Mutex::default(), keys: Mutex::default(), deployments: Mutex::default() }
    }
}
