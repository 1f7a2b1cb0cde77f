use async_trait::async_trait;
use langopen_backends::rules::documents::page;
use langopen_backends::rules::namespace;
use langopen_core::model::{
    ItemReadOptions, NamespaceQuery, NewStoreItem, Page, ScoredItem, StoreItem, StoreItemQuery,
};
use langopen_core::queue::Lease;
use langopen_core::storage::StoreItems;
use langopen_core::{Error, ErrorKind, Result, Scope, Tenant, Timestamp};

use crate::MyBackend;

/// An item's tenant, namespace and key.
pub(crate) type ItemKey = (Tenant, Vec<String>, String);

pub(crate) struct ItemRow {
    item: StoreItem,
    ttl_minutes: Option<f64>,
    expires_at: Option<Timestamp>,
}

impl ItemRow {
    fn is_alive(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| now < at)
    }

    fn refresh(&mut self, now: Timestamp) {
        self.expires_at = namespace::expiry(now, self.ttl_minutes);
    }
}

fn key_of(scope: &Scope, namespace: &[String], key: &str) -> ItemKey {
    (scope.tenant.clone(), namespace.to_vec(), key.to_owned())
}

/// A lease holds while its run is running. This backend has no queue, so no run of it is running. A backend with a
/// queue reads the run's row here, in the transaction of the write.
fn must_hold(operation: &'static str, lease: Option<Lease>) -> Result<()> {
    match lease {
        None => Ok(()),
        Some(Lease { run_id, .. }) => {
            Err(Error::new(ErrorKind::LeaseLost, operation, format!("the run {run_id} is not running")))
        }
    }
}

#[async_trait]
impl StoreItems for MyBackend {
    async fn put_item(&self, scope: &Scope, new: NewStoreItem) -> Result<()> {
        must_hold("store_items.put", new.lease)?;
        let (now, key) = (self.clock.now(), key_of(scope, &new.namespace, &new.key));
        let NewStoreItem { namespace, key: name, value, ttl_minutes, .. } = new;
        let mut items = self.items.lock();
        let earlier = items.get(&key).filter(|row| row.is_alive(now));
        let created_at = earlier.map_or(now, |row| row.item.created_at);
        let item = StoreItem { namespace, key: name, value, created_at, updated_at: now };
        items.insert(key, ItemRow { item, ttl_minutes, expires_at: namespace::expiry(now, ttl_minutes) });
        Ok(())
    }

    async fn item(
        &self,
        scope: &Scope,
        namespace: &[String],
        key: &str,
        options: ItemReadOptions,
    ) -> Result<Option<StoreItem>> {
        let (now, mut items) = (self.clock.now(), self.items.lock());
        let row = items.get_mut(&key_of(scope, namespace, key)).filter(|row| row.is_alive(now));
        Ok(row.map(|row| {
            if options.refresh_ttl {
                row.refresh(now);
            }
            row.item.clone()
        }))
    }

    async fn delete_item(&self, scope: &Scope, namespace: &[String], key: &str, lease: Option<Lease>) -> Result<()> {
        must_hold("store_items.delete", lease)?;
        self.items.lock().remove(&key_of(scope, namespace, key));
        Ok(())
    }

    /// This backend has no vectors, so it sorts every search by the last update.
    async fn search_items(&self, scope: &Scope, query: &StoreItemQuery) -> Result<Page<ScoredItem>> {
        let (now, mut items) = (self.clock.now(), self.items.lock());
        let mut found: Vec<&mut ItemRow> = items
            .iter_mut()
            .filter(|((tenant, labels, _), row)| {
                *tenant == scope.tenant
                    && labels.starts_with(&query.namespace_prefix)
                    && row.is_alive(now)
                    && namespace::passes(&row.item.value, &query.filters)
            })
            .map(|(_, row)| row)
            .collect();
        // The sort is stable: items of one moment stay in the order of their names.
        found.sort_by_key(|found| std::cmp::Reverse(found.item.updated_at));
        let Page { items: found, more } = page(found, query.offset, query.limit);
        let shown = found.into_iter().map(|row| {
            if query.refresh_ttl {
                row.refresh(now);
            }
            ScoredItem { item: row.item.clone(), score: None }
        });
        Ok(Page { items: shown.collect(), more })
    }

    async fn sweep_items(&self) -> Result<u64> {
        let (now, mut items) = (self.clock.now(), self.items.lock());
        let before = items.len();
        items.retain(|_, row| row.is_alive(now));
        Ok((before - items.len()) as u64)
    }

    async fn list_namespaces(&self, scope: &Scope, query: &NamespaceQuery) -> Result<Vec<Vec<String>>> {
        let (now, items) = (self.clock.now(), self.items.lock());
        let own = items.iter().filter(|((tenant, ..), row)| *tenant == scope.tenant && row.is_alive(now));
        Ok(query.list(own.map(|((_, labels, _), _)| labels.clone())))
    }
}
