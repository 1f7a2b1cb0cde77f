use axum::Json;
use axum::extract::State;
use langopen_core::JsonMap;
use langopen_core::auth::{Action, Resource};
use langopen_core::model::AssistantQuery;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{check_graph, graph_ids};
use crate::agent::App;
use crate::agent::error::{ApiResult, ErrorResponse};
use crate::http::access::Caller;
use crate::http::extract::{SmallBody, field};

/// The filter for the assistants to count.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(super) struct AssistantCountRequest {
    /// The metadata must contain these entries.
    #[serde(default, deserialize_with = "field::map")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<JsonMap>,
    /// The assistant must have exactly this graph.
    graph_id: Option<String>,
    /// The name must contain this text, regardless of case.
    name: Option<String>,
}

/// Count Assistants
#[utoipa::path(
    post, path = "/assistants/count", tag = "Assistants", operation_id = "count_assistants",
    request_body = AssistantCountRequest,
    responses(
        (status = 200, description = "The count", body = u64, content_type = "application/json"),
        (status = 404, description = "No such graph", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn count_assistants(
    State(app): State<App>,
    caller: Caller,
    SmallBody(body): SmallBody<AssistantCountRequest>,
) -> ApiResult<Json<u64>> {
    if let Some(graph_id) = &body.graph_id {
        check_graph(&app, graph_id).await?;
    }
    let mut query = AssistantQuery::default()
        .with_metadata(body.metadata.unwrap_or_default())
        .with_graph_id(body.graph_id)
        .with_graphs(Some(graph_ids(&app).await?))
        .with_name(body.name);
    let value = || json!({"graph_id": query.graph_id, "metadata": query.metadata, "name": query.name});
    let mut permit = caller.may(Resource::Assistants, Action::Search, value).await?;
    query.metadata = permit.object("metadata", query.metadata);
    Ok(Json(app.storage.count_assistants(&permit.scope, &query).await?))
}
