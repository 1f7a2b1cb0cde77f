use async_trait::async_trait;

use crate::error::Result;
use crate::model::{NamespaceQuery, NewStoreItem, Page, ScoredItem, StoreItem, StoreItemQuery};
use crate::tenant::Scope;

/// The long-term store. The scope's filter does not apply: items have no metadata.
///
/// An expired item behaves as if it were gone.
#[async_trait]
pub trait StoreItems: Send + Sync {
    /// Puts an item; `created_at` of one that exists stays.
    async fn put_item(&self, scope: &Scope, new: NewStoreItem) -> Result<()>;

    /// Reads an item; with `refresh_ttl`, puts its expiry off.
    async fn item(
        &self,
        scope: &Scope,
        namespace: &[String],
        key: &str,
        refresh_ttl: bool,
    ) -> Result<Option<StoreItem>>;

    /// Removes an item if it is there.
    async fn delete_item(&self, scope: &Scope, namespace: &[String], key: &str) -> Result<()>;

    /// Finds items.
    async fn search_items(&self, scope: &Scope, query: &StoreItemQuery) -> Result<Page<ScoredItem>>;

    /// Removes the expired items of all tenants, and says how many there were.
    async fn sweep_items(&self) -> Result<u64>;

    /// Lists namespaces that hold items.
    async fn list_namespaces(&self, scope: &Scope, query: &NamespaceQuery) -> Result<Vec<Vec<String>>>;
}
