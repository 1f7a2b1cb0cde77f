use axum::Json;
use axum::extract::State;
use langopen_core::JsonMap;
use langopen_core::auth::{Action, Resource};
use langopen_core::model::{ThreadQuery, ThreadStatus};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::agent::App;
use crate::agent::error::{ApiResult, ErrorResponse};
use crate::http::access::Caller;
use crate::http::extract::{SmallBody, field};

/// The filter for the threads to count.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(super) struct ThreadCountRequest {
    /// The metadata must contain these entries.
    #[serde(default, deserialize_with = "field::map")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<JsonMap>,
    /// The values must contain these entries.
    #[serde(default, deserialize_with = "field::map")]
    #[schema(value_type = Option<Object>)]
    values: Option<JsonMap>,
    #[schema(inline)]
    status: Option<ThreadStatus>,
}

/// Count Threads
#[utoipa::path(
    post, path = "/threads/count", tag = "Threads", operation_id = "count_threads",
    request_body = ThreadCountRequest,
    responses(
        (status = 200, description = "The count", body = u64, content_type = "application/json"),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn count_threads(
    State(app): State<App>,
    caller: Caller,
    SmallBody(body): SmallBody<ThreadCountRequest>,
) -> ApiResult<Json<u64>> {
    let mut query = ThreadQuery::default()
        .with_metadata(body.metadata.unwrap_or_default())
        .with_values(body.values.unwrap_or_default())
        .with_status(body.status);
    let value = || json!({"metadata": query.metadata, "values": query.values, "status": query.status});
    let mut permit = caller.may(Resource::Threads, Action::Search, value).await?;
    query.metadata = permit.object("metadata", query.metadata);
    Ok(Json(app.storage.count_threads(&permit.scope, &query).await?))
}
