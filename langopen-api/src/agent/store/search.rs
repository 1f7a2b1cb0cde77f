use axum::Json;
use axum::extract::State;
use langopen_core::JsonMap;
use langopen_core::auth::{Action, Resource};
use langopen_core::model::{FilterOperator, ItemFilter, StoreItemQuery};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::guard;
use super::item::Item;
use super::namespace::check_labels;
use crate::agent::App;
use crate::agent::error::{ApiError, ApiResult, ErrorResponse};
use crate::http::access::Caller;
use crate::http::extract::SmallBody;
use crate::http::extract::field::{self, LIMIT};

/// The filter, the query and the page of the search.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(super) struct StoreSearchRequest {
    /// The first labels of the namespace.
    namespace_prefix: Option<Vec<String>>,
    /// The keys of the value with the values they must equal, or with operators: `$eq`, `$ne`, `$gt`, `$gte`, `$lt`,
    /// `$lte`.
    #[schema(value_type = Option<Object>)]
    filter: Option<JsonMap>,
    #[serde(default, deserialize_with = "field::offset")]
    #[schema(default = 10)]
    limit: Option<u32>,
    #[serde(default, deserialize_with = "field::offset")]
    #[schema(default = 0)]
    offset: Option<u32>,
    /// Ranks items by the similarity of their texts to this one, if the application configures an index.
    query: Option<String>,
    refresh_ttl: Option<bool>,
}

/// The items that match.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SearchItemsResponse {
    items: Vec<Item>,
}

/// Search Items
#[utoipa::path(
    post, path = "/store/items/search", tag = "Store", operation_id = "search_items",
    request_body = StoreSearchRequest,
    responses(
        (status = 200, description = "The items", body = SearchItemsResponse),
        (
            status = 422, description = "Invalid request; the answer about an invalid label is plain text",
            content((ErrorResponse = "application/json"), (String = "text/plain"))
        ),
    )
)]
pub(super) async fn search_items(
    State(app): State<App>,
    caller: Caller,
    SmallBody(body): SmallBody<StoreSearchRequest>,
) -> ApiResult<Json<SearchItemsResponse>> {
    let prefix = body.namespace_prefix.unwrap_or_default();
    check_labels(&prefix)?;
    filters(body.filter.as_ref())?;
    let (limit, offset) = (body.limit.unwrap_or(LIMIT), body.offset.unwrap_or_default());
    let value =
        || json!({"namespace": prefix, "filter": body.filter, "limit": limit, "offset": offset, "query": body.query});
    let mut permit = caller.may(Resource::Store, Action::Search, value).await?;
    let namespace_prefix = permit.labels("namespace", prefix)?;
    check_labels(&namespace_prefix)?;
    let filter: Option<JsonMap> = permit.take("filter", body.filter.clone())?;
    let filters = filters(filter.as_ref())?;
    let text: Option<String> = permit.take("query", body.query.clone())?;
    let refresh_ttl = body.refresh_ttl.unwrap_or(app.settings.store_refresh_on_read);
    let vector = match (&app.embedder, text.filter(|text| !text.is_empty())) {
        (Some(embedder), Some(text)) => Some(embedder.embed_query(&text).await?),
        _ => None,
    };
    let query = StoreItemQuery::default()
        .with_namespace_prefix(namespace_prefix)
        .with_filters(filters)
        .with_vector(vector)
        .with_limit(limit)
        .with_offset(offset)
        .with_refresh_ttl(refresh_ttl);
    let found = guard::search(&app, &permit.scope, query).await?;
    let items = found.into_iter().map(|found| Item::from(found.item).scored(found.score)).collect();
    Ok(Json(SearchItemsResponse { items }))
}

fn filters(filter: Option<&JsonMap>) -> ApiResult<Vec<ItemFilter>> {
    let mut filters = Vec::new();
    for (key, condition) in filter.into_iter().flatten() {
        match condition {
            Value::Object(operators) if operators.keys().any(|name| name.starts_with('$')) => {
                for (name, value) in operators {
                    let operator = FilterOperator::parse(name).ok_or_else(|| {
                        ApiError::invalid(format!("filter.{key}: {name} is not one of $eq, $ne, $gt, $gte, $lt, $lte"))
                    })?;
                    filters.push(ItemFilter { key: key.clone(), operator, value: value.clone() });
                }
            }
            value => {
                let operator = FilterOperator::Equal;
                filters.push(ItemFilter { key: key.clone(), operator, value: value.clone() });
            }
        }
    }
    Ok(filters)
}
