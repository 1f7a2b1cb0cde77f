use async_trait::async_trait;

use crate::error::Result;
use crate::model::{ItemReadOptions, NamespaceQuery, NewStoreItem, Page, ScoredItem, StoreItem, StoreItemQuery};
use crate::queue::Lease;
use crate::tenant::Scope;

/// The long-term store. The scope's filter does not apply, because items have no metadata.
///
/// - An expired item behaves as if it did not exist.
/// - A put or a delete that names a [`Lease`] takes effect only while that attempt is its run's current one and
///   running. Otherwise it fails with `LeaseLost` and changes nothing.
/// - The check and the write are one step: after a claim of a later attempt, no write of an earlier one takes effect.
#[async_trait]
pub trait StoreItems: Send + Sync {
    /// Creates or replaces an item; `created_at` of an existing item stays.
    async fn put_item(&self, scope: &Scope, new: NewStoreItem) -> Result<()>;

    /// Reads an item.
    async fn item(
        &self,
        scope: &Scope,
        namespace: &[String],
        key: &str,
        options: ItemReadOptions,
    ) -> Result<Option<StoreItem>>;

    /// Removes an item; a missing item is no error. `lease` is the lease of the run that makes the request.
    async fn delete_item(&self, scope: &Scope, namespace: &[String], key: &str, lease: Option<Lease>) -> Result<()>;

    /// Finds items.
    async fn search_items(&self, scope: &Scope, query: &StoreItemQuery) -> Result<Page<ScoredItem>>;

    /// Removes the expired items of all tenants and returns their number.
    async fn sweep_items(&self) -> Result<u64>;

    /// Lists the namespaces that hold items.
    async fn list_namespaces(&self, scope: &Scope, query: &NamespaceQuery) -> Result<Vec<Vec<String>>>;
}
