use std::cmp::Reverse;

use async_trait::async_trait;
use langopen_backends::rules::documents::page;
use langopen_backends::rules::{namespace, similarity};
use langopen_core::model::{
    FieldVector, ItemReadOptions, NamespaceQuery, NewStoreItem, Page, ScoredItem, StoreItem, StoreItemQuery,
};
use langopen_core::queue::Lease;
use langopen_core::storage::StoreItems;
use langopen_core::{Result, Scope, Tenant, Timestamp};

use crate::MyBackend;

/// An item's tenant, namespace and key.
pub(crate) type ItemKey = (Tenant, Vec<String>, String);

pub(crate) struct ItemRow {
    item: StoreItem,
    ttl_minutes: Option<f64>,
    expires_at: Option<Timestamp>,
    vectors: Vec<FieldVector>,
}

impl ItemRow {
    fn is_alive(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| now < at)
    }

    fn refresh(&mut self, now: Timestamp) {
        self.expires_at = namespace::expiry(now, self.ttl_minutes);
    }

    fn answers(&self, query: &StoreItemQuery) -> bool {
        self.item.namespace.starts_with(&query.namespace_prefix) && namespace::passes(&self.item.value, &query.filters)
    }
}

fn key_of(scope: &Scope, namespace: &[String], key: &str) -> ItemKey {
    (scope.tenant.clone(), namespace.to_vec(), key.to_owned())
}

#[async_trait]
impl StoreItems for MyBackend {
    async fn put_item(&self, scope: &Scope, new: NewStoreItem) -> Result<()> {
        let (mut state, now) = (self.state(), self.clock.now());
        state.must_hold("store_items.put", new.lease)?;
        let row_key = key_of(scope, &new.namespace, &new.key);
        let NewStoreItem { namespace, key, value, ttl_minutes, vectors, lease: _ } = new;
        let earlier = state.items.get(&row_key).filter(|row| row.is_alive(now));
        let created_at = earlier.map_or(now, |row| row.item.created_at);
        let item = StoreItem { namespace, key, value, created_at, updated_at: now };
        let expires_at = namespace::expiry(now, ttl_minutes);
        state.items.insert(row_key, ItemRow { item, ttl_minutes, expires_at, vectors });
        Ok(())
    }

    async fn item(
        &self,
        scope: &Scope,
        namespace: &[String],
        key: &str,
        options: ItemReadOptions,
    ) -> Result<Option<StoreItem>> {
        let (mut state, now) = (self.state(), self.clock.now());
        let row = state.items.get_mut(&key_of(scope, namespace, key)).filter(|row| row.is_alive(now));
        Ok(row.map(|row| {
            if options.refresh_ttl {
                row.refresh(now);
            }
            row.item.clone()
        }))
    }

    async fn delete_item(&self, scope: &Scope, namespace: &[String], key: &str, lease: Option<Lease>) -> Result<()> {
        let mut state = self.state();
        state.must_hold("store_items.delete", lease)?;
        state.items.remove(&key_of(scope, namespace, key));
        Ok(())
    }

    async fn search_items(&self, scope: &Scope, query: &StoreItemQuery) -> Result<Page<ScoredItem>> {
        let (mut state, now) = (self.state(), self.clock.now());
        let own = state.items.iter_mut().filter(|((tenant, ..), _)| *tenant == scope.tenant).map(|(_, row)| row);
        let wanted = own.filter(|row| row.is_alive(now) && row.answers(query));
        let mut found: Vec<_> =
            wanted.map(|row| (similarity::best(&row.vectors, query.vector.as_deref()), row)).collect();
        // Both sorts are stable. Items of equal similarity stay sorted by their update, and those by their names.
        found.sort_by_key(|(_, row)| Reverse(row.item.updated_at));
        found.sort_by(|(a, _), (b, _)| b.partial_cmp(a).unwrap_or(std::cmp::Ordering::Equal));
        let Page { items: found, more } = page(found, query.offset, query.limit);
        let shown = found.into_iter().map(|(score, row)| {
            if query.refresh_ttl {
                row.refresh(now);
            }
            ScoredItem { item: row.item.clone(), score }
        });
        Ok(Page { items: shown.collect(), more })
    }

    async fn sweep_items(&self) -> Result<u64> {
        let (mut state, now) = (self.state(), self.clock.now());
        let before = state.items.len();
        state.items.retain(|_, row| row.is_alive(now));
        Ok((before - state.items.len()) as u64)
    }

    async fn list_namespaces(&self, scope: &Scope, query: &NamespaceQuery) -> Result<Vec<Vec<String>>> {
        let (state, now) = (self.state(), self.clock.now());
        let own = state.items.iter().filter(|((tenant, ..), row)| *tenant == scope.tenant && row.is_alive(now));
        Ok(namespace::list(own.map(|((_, labels, _), _)| labels.clone()), query))
    }
}
