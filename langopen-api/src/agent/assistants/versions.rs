use axum::Json;
use axum::extract::State;
use langopen_core::JsonMap;
use langopen_core::auth::{Action, Resource};
use langopen_core::model::AssistantVersionQuery;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::graph_ids;
use crate::agent::App;
use crate::agent::AssistantPath;
use crate::agent::error::{ApiError, ApiResult, ErrorResponse};
use crate::agent::wire::AssistantVersionBody;
use crate::http::access::Caller;
use crate::http::extract::SmallBody;
use crate::http::extract::field::{self, LIMIT};

/// The filter and the page of the list.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(super) struct AssistantVersionsSearchRequest {
    /// The version's metadata must contain these entries.
    #[serde(default, deserialize_with = "field::map")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<JsonMap>,
    #[serde(default, deserialize_with = "field::limit")]
    #[schema(minimum = 1, maximum = 1000, default = 10)]
    limit: Option<u32>,
    #[serde(default, deserialize_with = "field::offset")]
    #[schema(minimum = 0, default = 0)]
    offset: Option<u32>,
}

/// List Assistant Versions
///
/// Returns the versions of an assistant, newest first.
#[utoipa::path(
    post, path = "/assistants/{assistant_id}/versions", tag = "Assistants", operation_id = "list_assistant_versions",
    params(("assistant_id" = Uuid, Path, description = "The assistant")),
    request_body = AssistantVersionsSearchRequest,
    responses(
        (status = 200, description = "The versions", body = Vec<AssistantVersionBody>),
        (status = 404, description = "No such assistant or version", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn list_versions(
    State(app): State<App>,
    caller: Caller,
    AssistantPath(id): AssistantPath,
    SmallBody(body): SmallBody<AssistantVersionsSearchRequest>,
) -> ApiResult<Json<Vec<AssistantVersionBody>>> {
    let metadata = body.metadata.unwrap_or_default();
    let value = || json!({"assistant_id": id, "metadata": metadata});
    let scope = caller.may(Resource::Assistants, Action::Read, value).await?.scope;
    let (limit, offset) = (body.limit.unwrap_or(LIMIT), body.offset.unwrap_or_default());
    let query = AssistantVersionQuery::default().with_metadata(metadata).with_limit(limit).with_offset(offset);
    let versions = app.storage.assistant_versions(&scope, id, &query).await?;
    let graphs = graph_ids(&app).await?;
    let versions: Vec<_> = versions.into_iter().filter(|version| graphs.contains(&version.graph_id)).collect();
    if versions.is_empty() {
        return Err(ApiError::not_found(format!("Assistant {id} not found")));
    }
    Ok(Json(versions.into_iter().map(Into::into).collect()))
}
