//! The long-term store, as nodes use it.

use langopen_core::error::Result;
use langopen_core::executor::ExecutionContext;
use langopen_core::json::RawJson;
use langopen_core::model::{ItemReadOptions, NewStoreItem, StoreItem, StoreItemQuery};
use serde_json::Value;

/// The long-term store of the run's tenant. An item is a JSON object with a namespace (a list of labels) and a key. The
/// store accepts no changes after the run has ended.
pub struct Store<'a> {
    pub(super) context: &'a ExecutionContext,
}

impl Store<'_> {
    /// Stores an item that never expires.
    ///
    /// # Errors
    /// `LeaseLost` if the attempt is no longer current, or the storage's own error.
    pub async fn put(&self, namespace: &[&str], key: &str, value: impl Into<Value>) -> Result<()> {
        let new = NewStoreItem {
            namespace: labels(namespace),
            key: key.to_owned(),
            value: RawJson::from(value.into()),
            ttl_minutes: None,
            vectors: Vec::new(),
            lease: None,
        };
        self.context.put_item(new).await
    }

    /// The value of an item; `None` if there is no such item.
    ///
    /// # Errors
    /// Fails if the storage does not answer.
    pub async fn get(&self, namespace: &[&str], key: &str) -> Result<Option<Value>> {
        let item =
            self.context.item(&labels(namespace), key, ItemReadOptions::default().with_refresh_ttl(true)).await?;
        Ok(item.and_then(|item| item.value.decode().ok()))
    }

    /// Items whose namespace begins with these labels, most recently updated first.
    ///
    /// # Errors
    /// Fails if the storage does not answer.
    pub async fn search(&self, prefix: &[&str], limit: u32) -> Result<Vec<StoreItem>> {
        let query =
            StoreItemQuery::default().with_namespace_prefix(labels(prefix)).with_limit(limit).with_refresh_ttl(true);
        let found = self.context.search_items(&query).await?;
        Ok(found.items.into_iter().map(|scored| scored.item).collect())
    }

    /// Removes an item; a missing item is no error.
    ///
    /// # Errors
    /// `LeaseLost` if the attempt is no longer current, or the storage's own error.
    pub async fn delete(&self, namespace: &[&str], key: &str) -> Result<()> {
        self.context.delete_item(&labels(namespace), key).await
    }
}

fn labels(namespace: &[&str]) -> Vec<String> {
    namespace.iter().map(|&label| label.to_owned()).collect()
}
