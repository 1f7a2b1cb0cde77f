use std::cmp::Ordering;
use std::ops::Bound;

use async_trait::async_trait;
use langopen_core::clock::Timestamp;
use langopen_core::error::Result;
use langopen_core::model::{
    ItemReadOptions, NamespaceQuery, NewStoreItem, Page, ScoredItem, StoreItem, StoreItemQuery,
};
use langopen_core::queue::Lease;
use langopen_core::storage::StoreItems;
use langopen_core::tenant::{Scope, Tenant};

use super::Memory;
use super::state::{ItemKey, ItemRow, State};
use crate::rules::documents::page;
use crate::rules::{namespace, similarity};

impl ItemRow {
    fn is_there(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|expires_at| now < expires_at)
    }

    fn refresh(&mut self, now: Timestamp) {
        self.expires_at = namespace::expiry(now, self.ttl_minutes);
    }
}

fn key(scope: &Scope, namespace: &[String], key: &str) -> ItemKey {
    (scope.tenant.clone(), namespace.to_vec(), key.to_owned())
}

impl State {
    fn items_of<'a>(
        &'a self,
        tenant: &'a Tenant,
        prefix: &'a [String],
    ) -> impl Iterator<Item = (&'a ItemKey, &'a ItemRow)> {
        // The map sorts namespaces that share a prefix together, and the prefix itself comes first.
        let from = (tenant.clone(), prefix.to_vec(), String::new());
        self.items
            .range((Bound::Included(from), Bound::Unbounded))
            .take_while(move |(key, _)| key.0 == *tenant && key.1.starts_with(prefix))
    }
}

#[async_trait]
impl StoreItems for Memory {
    async fn put_item(&self, scope: &Scope, new: NewStoreItem) -> Result<()> {
        let now = self.now();
        let key = key(scope, &new.namespace, &new.key);
        let mut state = self.state();
        state.must_hold("store_items.put", new.lease)?;
        let created_at = state.items.get(&key).filter(|row| row.is_there(now)).map_or(now, |row| row.item.created_at);
        let (namespace, key_text, value) = (new.namespace, new.key, new.value);
        let item = StoreItem { namespace, key: key_text, value, created_at, updated_at: now };
        let expires_at = namespace::expiry(now, new.ttl_minutes);
        state.items.insert(key, ItemRow { item, ttl_minutes: new.ttl_minutes, expires_at, vectors: new.vectors });
        if new.ttl_minutes.is_some() && state.items.len().is_multiple_of(256) {
            state.items.retain(|_, row| row.is_there(now));
        }
        Ok(())
    }

    async fn item(
        &self,
        scope: &Scope,
        namespace: &[String],
        item_key: &str,
        options: ItemReadOptions,
    ) -> Result<Option<StoreItem>> {
        let now = self.now();
        let mut state = self.state();
        let row = state.items.get_mut(&key(scope, namespace, item_key)).filter(|row| row.is_there(now));
        Ok(row.map(|row| {
            if options.refresh_ttl {
                row.refresh(now);
            }
            row.item.clone()
        }))
    }

    async fn delete_item(
        &self,
        scope: &Scope,
        namespace: &[String],
        item_key: &str,
        lease: Option<Lease>,
    ) -> Result<()> {
        let mut state = self.state();
        state.must_hold("store_items.delete", lease)?;
        state.items.remove(&key(scope, namespace, item_key));
        Ok(())
    }

    async fn search_items(&self, scope: &Scope, query: &StoreItemQuery) -> Result<Page<ScoredItem>> {
        let now = self.now();
        let mut state = self.state();
        let mut found: Vec<_> = state
            .items_of(&scope.tenant, &query.namespace_prefix)
            .filter(|(_, row)| row.is_there(now) && namespace::passes(&row.item.value, &query.filters))
            .map(|(key, row)| {
                (similarity::best(&row.vectors, query.vector.as_deref()), row.item.updated_at, key.clone())
            })
            .collect();
        found.sort_by(|a, b| {
            let nearest = b.0.partial_cmp(&a.0).unwrap_or(Ordering::Equal);
            nearest.then_with(|| b.1.cmp(&a.1)).then_with(|| a.2.cmp(&b.2))
        });
        let keys = page(found, query.offset, query.limit);
        let mut items = Vec::with_capacity(keys.items.len());
        for (score, _, key) in keys.items {
            if let Some(row) = state.items.get_mut(&key) {
                if query.refresh_ttl {
                    row.refresh(now);
                }
                items.push(ScoredItem { item: row.item.clone(), score });
            }
        }
        Ok(Page { items, more: keys.more })
    }

    async fn sweep_items(&self) -> Result<u64> {
        let (mut state, now) = (self.state(), self.now());
        let before = state.items.len();
        state.items.retain(|_, row| row.is_there(now));
        Ok((before - state.items.len()) as u64)
    }

    async fn list_namespaces(&self, scope: &Scope, query: &NamespaceQuery) -> Result<Vec<Vec<String>>> {
        let now = self.now();
        let state = self.state();
        let there = state.items_of(&scope.tenant, &[]).filter(|(_, row)| row.is_there(now));
        Ok(namespace::list(there.map(|(key, _)| key.1.clone()), query))
    }
}
