use axum::Json;
use axum::extract::State;
use langopen_core::auth::{Action, Resource};
use langopen_core::model::NamespaceQuery;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::agent::App;
use crate::agent::error::{ApiResult, ErrorResponse};
use crate::http::access::Caller;
use crate::http::extract::{SmallBody, field};

/// The filter and the page of the list.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(super) struct StoreListNamespacesRequest {
    /// The first labels; `*` matches any label.
    prefix: Option<Vec<String>>,
    /// The last labels; `*` matches any label.
    suffix: Option<Vec<String>>,
    /// Shortens each namespace to at most this many labels.
    #[serde(default, deserialize_with = "field::offset")]
    max_depth: Option<u32>,
    #[serde(default, deserialize_with = "field::offset")]
    #[schema(default = 100)]
    limit: Option<u32>,
    #[serde(default, deserialize_with = "field::offset")]
    #[schema(default = 0)]
    offset: Option<u32>,
}

/// Namespaces that hold items.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ListNamespaceResponse {
    namespaces: Vec<Vec<String>>,
}

/// List Namespaces
#[utoipa::path(
    post, path = "/store/namespaces", tag = "Store", operation_id = "list_namespaces",
    request_body = StoreListNamespacesRequest,
    responses(
        (status = 200, description = "The namespaces", body = ListNamespaceResponse),
        (
            status = 422, description = "Invalid request; the answer about an invalid label is plain text",
            content((ErrorResponse = "application/json"), (String = "text/plain"))
        ),
    )
)]
pub(super) async fn list_namespaces(
    State(app): State<App>,
    caller: Caller,
    SmallBody(body): SmallBody<StoreListNamespacesRequest>,
) -> ApiResult<Json<ListNamespaceResponse>> {
    let mut query = NamespaceQuery::default()
        .with_prefix(body.prefix.unwrap_or_default())
        .with_suffix(body.suffix.unwrap_or_default())
        .with_max_depth(body.max_depth)
        .with_limit(body.limit.unwrap_or(100))
        .with_offset(body.offset.unwrap_or_default());
    let value = || {
        json!({
            "namespace": (!query.prefix.is_empty()).then_some(&query.prefix),
            "suffix": (!query.suffix.is_empty()).then_some(&query.suffix), "max_depth": query.max_depth, "limit": query.limit,
            "offset": query.offset,
        })
    };
    let mut permit = caller.may(Resource::Store, Action::ListNamespaces, value).await?;
    query.prefix = permit.labels("namespace", query.prefix)?;
    query.suffix = permit.labels("suffix", query.suffix)?;
    query.max_depth = permit.take("max_depth", query.max_depth)?;
    let namespaces = app.storage.list_namespaces(&permit.scope, &query).await?;
    Ok(Json(ListNamespaceResponse { namespaces }))
}
