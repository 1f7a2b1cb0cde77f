//! Items behind a filter that an authorizer imposed: it holds of an item's value, and what does not pass is not there.

use langopen_core::model::{NamespaceQuery, NewStoreItem, ScoredItem, StoreItem, StoreItemQuery};
use langopen_core::{JsonMap, Scope};

use crate::error::{ApiError, ApiResult};
use crate::extract::field::MAX_LIMIT;
use crate::server::App;

fn passes(scope: &Scope, item: &StoreItem) -> bool {
    scope.filter.as_ref().is_none_or(|filter| item.value.decode::<JsonMap>().is_ok_and(|value| filter.matches(&value)))
}

pub(super) async fn item(
    app: &App,
    scope: &Scope,
    namespace: &[String],
    key: &str,
    refresh: bool,
) -> ApiResult<Option<StoreItem>> {
    if scope.filter.is_none() {
        return Ok(app.storage.item(scope, namespace, key, refresh).await?);
    }
    let held = app.storage.item(scope, namespace, key, false).await?.filter(|item| passes(scope, item));
    if refresh && held.is_some() {
        return Ok(app.storage.item(scope, namespace, key, true).await?.filter(|item| passes(scope, item)));
    }
    Ok(held)
}

/// # Errors
/// 409 when the key holds an item that the caller may not see.
pub(super) async fn put(app: &App, scope: &Scope, new: NewStoreItem) -> ApiResult<()> {
    if hidden(app, scope, &new.namespace, &new.key).await? {
        return Err(ApiError::conflict("Conflict"));
    }
    Ok(app.storage.put_item(scope, new).await?)
}

pub(super) async fn delete(app: &App, scope: &Scope, namespace: &[String], key: &str) -> ApiResult<()> {
    if hidden(app, scope, namespace, key).await? {
        return Ok(());
    }
    Ok(app.storage.delete_item(scope, namespace, key, None).await?)
}

async fn hidden(app: &App, scope: &Scope, namespace: &[String], key: &str) -> ApiResult<bool> {
    if scope.filter.is_none() {
        return Ok(false);
    }
    Ok(app.storage.item(scope, namespace, key, false).await?.is_some_and(|item| !passes(scope, &item)))
}

pub(super) async fn search(app: &App, scope: &Scope, query: StoreItemQuery) -> ApiResult<Vec<ScoredItem>> {
    if scope.filter.is_none() {
        return Ok(app.storage.search_items(scope, &query).await?.items);
    }
    let (offset, limit) = (query.offset as usize, query.limit as usize);
    let found: Vec<_> = visible(app, scope, &query, offset + limit).await?.into_iter().skip(offset).collect();
    if query.refresh_ttl {
        for each in &found {
            app.storage.item(scope, &each.item.namespace, &each.item.key, true).await?;
        }
    }
    Ok(found)
}

pub(super) async fn namespaces(app: &App, scope: &Scope, query: &NamespaceQuery) -> ApiResult<Vec<Vec<String>>> {
    if scope.filter.is_none() {
        return Ok(app.storage.list_namespaces(scope, query).await?);
    }
    let namespace_prefix = query.prefix.iter().take_while(|label| *label != "*").cloned().collect();
    let all = StoreItemQuery { namespace_prefix, ..StoreItemQuery::default() };
    let items = visible(app, scope, &all, usize::MAX).await?;
    Ok(query.list(items.into_iter().map(|found| found.item.namespace)))
}

/// The first items that pass, up to `wanted`.
async fn visible(app: &App, scope: &Scope, query: &StoreItemQuery, wanted: usize) -> ApiResult<Vec<ScoredItem>> {
    let mut page = StoreItemQuery { limit: MAX_LIMIT, offset: 0, refresh_ttl: false, ..query.clone() };
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
