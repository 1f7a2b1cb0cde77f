use axum::Json;
use axum::extract::State;
use langopen_core::JsonMap;
use langopen_core::auth::{Action, Resource};
use langopen_core::model::CronQuery;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::agent::App;
use crate::agent::error::{ApiResult, ErrorResponse};
use crate::http::access::Caller;
use crate::http::extract::{SmallBody, field, parse_id};

/// The filter for the crons to count.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(super) struct CronCountRequest {
    /// The cron must run exactly this assistant.
    #[schema(value_type = Option<Uuid>)]
    assistant_id: Option<String>,
    /// The cron must run on exactly this thread.
    #[schema(value_type = Option<Uuid>)]
    thread_id: Option<String>,
    /// The metadata must contain these entries.
    #[serde(default, deserialize_with = "field::map")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<JsonMap>,
}

/// Count Crons
#[utoipa::path(
    post, path = "/runs/crons/count", tag = "Crons", operation_id = "count_crons",
    request_body = CronCountRequest,
    responses(
        (status = 200, description = "The count", body = u64, content_type = "application/json"),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn count_crons(
    State(app): State<App>,
    caller: Caller,
    SmallBody(body): SmallBody<CronCountRequest>,
) -> ApiResult<Json<u64>> {
    let mut query = CronQuery::default()
        .with_assistant_id(body.assistant_id.map(|id| parse_id(&id, "assistant")).transpose()?)
        .with_thread_id(body.thread_id.map(|id| parse_id(&id, "thread")).transpose()?)
        .with_metadata(body.metadata.unwrap_or_default());
    let value =
        || json!({"assistant_id": query.assistant_id, "thread_id": query.thread_id, "metadata": query.metadata});
    let mut permit = caller.may(Resource::Crons, Action::Search, value).await?;
    query.metadata = permit.object("metadata", query.metadata);
    Ok(Json(app.storage.count_crons(&permit.scope, &query).await?))
}
