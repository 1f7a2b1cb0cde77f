//! Applies an authorizer's filter to store searches. The filter compares the items' values.
//!
//! Items have neither metadata nor owner. Applications separate users by namespaces, which a store handler rewrites. A
//! handler for all resources also returns `{"owner": …}` for store operations, and that must not hide a user's own
//! items. So the filter narrows searches only.

use langopen_core::model::{ItemReadOptions, ScoredItem, StoreItem, StoreItemQuery};
use langopen_core::{JsonMap, Scope};

use crate::agent::App;
use crate::agent::error::ApiResult;
use crate::http::extract::field::MAX_LIMIT;

fn passes(scope: &Scope, item: &StoreItem) -> bool {
    scope.filter.as_ref().is_none_or(|filter| item.value.decode::<JsonMap>().is_ok_and(|value| filter.matches(&value)))
}

/// The items that match the query and pass the scope's filter.
pub(super) async fn search(app: &App, scope: &Scope, query: StoreItemQuery) -> ApiResult<Vec<ScoredItem>> {
    if scope.filter.is_none() {
        return Ok(app.storage.search_items(scope, &query).await?.items);
    }
    let (offset, limit) = (query.offset as usize, query.limit as usize);
    let found: Vec<_> = visible(app, scope, &query, offset + limit).await?.into_iter().skip(offset).collect();
    if query.refresh_ttl {
        let refresh = ItemReadOptions::default().with_refresh_ttl(true);
        for each in &found {
            app.storage.item(scope, &each.item.namespace, &each.item.key, refresh).await?;
        }
    }
    Ok(found)
}

/// The first items that pass the filter, at most `wanted`.
async fn visible(app: &App, scope: &Scope, query: &StoreItemQuery, wanted: usize) -> ApiResult<Vec<ScoredItem>> {
    let mut page = query.clone().with_limit(MAX_LIMIT).with_offset(0).with_refresh_ttl(false);
    let mut found = Vec::new();
    loop {
        let items = app.storage.search_items(scope, &page).await?;
        found.extend(items.items.into_iter().filter(|each| passes(scope, &each.item)));
        if found.len() >= wanted || !items.more {
            found.truncate(wanted);
            return Ok(found);
        }
        page.offset += MAX_LIMIT;
    }
}
