use async_trait::async_trait;

use crate::error::Result;
use crate::model::{NamespaceQuery, NewStoreItem, Page, ScoredItem, StoreItem, StoreItemQuery};
use crate::queue::Lease;
use crate::tenant::Scope;

/// The long-term store. The scope's filter does not apply: items have no metadata.
///
/// An expired item behaves as if it were gone.
///
/// A put or a delete that names a [`Lease`] takes effect only while that attempt is the current one of its run, and
/// running. Otherwise it fails with `LeaseLost` and changes nothing. The check and the write are one step: once a later
/// attempt is claimed, no write of an earlier one takes effect.
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

    /// Removes an item if it is there; `lease` is that of the run that asks for it.
    async fn delete_item(&self, scope: &Scope, namespace: &[String], key: &str, lease: Option<Lease>) -> Result<()>;

    /// Finds items.
    async fn search_items(&self, scope: &Scope, query: &StoreItemQuery) -> Result<Page<ScoredItem>>;

    /// Removes the expired items of all tenants, and says how many there were.
    async fn sweep_items(&self) -> Result<u64>;

    /// Lists namespaces that hold items.
    async fn list_namespaces(&self, scope: &Scope, query: &NamespaceQuery) -> Result<Vec<Vec<String>>>;
}
