use axum::extract::State;
use langopen_core::JsonMap;
use langopen_core::auth::{Action, Resource};
use langopen_core::model::{AssistantQuery, AssistantSort, SortOrder};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{check_graph, graph_ids};
use crate::agent::App;
use crate::agent::error::{ApiResult, ErrorResponse};
use crate::agent::wire::{AssistantBody, AssistantField, Listing};
use crate::http::access::Caller;
use crate::http::extract::SmallBody;
use crate::http::extract::field::{self, LIMIT, check_select};

/// The filter, the order and the page of the search.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(super) struct AssistantSearchRequest {
    /// The metadata must contain these entries.
    #[serde(default, deserialize_with = "field::map")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<JsonMap>,
    /// The assistant must have exactly this graph.
    graph_id: Option<String>,
    /// The name must contain this text, regardless of case.
    name: Option<String>,
    #[serde(default, deserialize_with = "field::limit")]
    #[schema(minimum = 1, maximum = 1000, default = 10)]
    limit: Option<u32>,
    #[serde(default, deserialize_with = "field::offset")]
    #[schema(minimum = 0, default = 0)]
    offset: Option<u32>,
    #[schema(inline)]
    sort_by: Option<SortBy>,
    #[schema(inline)]
    sort_order: Option<SortOrder>,
    /// The fields to return; all if absent.
    #[schema(value_type = Option<Vec<AssistantField>>)]
    select: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum SortBy {
    AssistantId,
    CreatedAt,
    UpdatedAt,
    Name,
    GraphId,
}

impl From<SortBy> for AssistantSort {
    fn from(by: SortBy) -> Self {
        match by {
            SortBy::AssistantId => Self::AssistantId,
            SortBy::CreatedAt => Self::CreatedAt,
            SortBy::UpdatedAt => Self::UpdatedAt,
            SortBy::Name => Self::Name,
            SortBy::GraphId => Self::GraphId,
        }
    }
}

/// Search Assistants
#[utoipa::path(
    post, path = "/assistants/search", tag = "Assistants", operation_id = "search_assistants",
    request_body = AssistantSearchRequest,
    responses(
        (status = 200, description = "The assistants", body = Vec<AssistantBody>),
        (status = 404, description = "No such graph", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn search_assistants(
    State(app): State<App>,
    caller: Caller,
    SmallBody(body): SmallBody<AssistantSearchRequest>,
) -> ApiResult<Listing> {
    let select = body.select.unwrap_or_default();
    check_select(&select, &AssistantBody::FIELDS)?;
    if let Some(graph_id) = &body.graph_id {
        check_graph(&app, graph_id).await?;
    }
    let mut query = AssistantQuery::default()
        .with_metadata(body.metadata.unwrap_or_default())
        .with_graph_id(body.graph_id)
        .with_graphs(Some(graph_ids(&app).await?))
        .with_name(body.name)
        .with_limit(body.limit.unwrap_or(LIMIT))
        .with_offset(body.offset.unwrap_or_default())
        .with_sort_by(body.sort_by.map(Into::into).unwrap_or_default())
        .with_sort_order(body.sort_order.unwrap_or_default());
    let value = || json!({"graph_id": query.graph_id, "metadata": query.metadata, "limit": query.limit, "offset": query.offset});
    let mut permit = caller.may(Resource::Assistants, Action::Search, value).await?;
    query.metadata = permit.object("metadata", query.metadata);
    query.graph_id = permit.take("graph_id", query.graph_id)?;
    let page = app.storage.search_assistants(&permit.scope, &query).await?;
    Listing::new(page, query.offset, &select, AssistantBody::from)
}
