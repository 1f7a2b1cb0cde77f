use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use langopen_core::ThreadId;
use langopen_core::auth::{Action, Resource};
use langopen_core::model::{PruneStrategy, ThreadQuery};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::agent::App;
use crate::agent::error::{ApiError, ApiResult, ErrorResponse};
use crate::http::access::Caller;
use crate::http::extract::{SmallBody, parse_id};

/// The threads to prune, and the strategy.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct ThreadPruneRequest {
    #[schema(value_type = Vec<Uuid>)]
    thread_ids: Vec<String>,
    #[serde(default)]
    #[schema(inline)]
    strategy: Option<PruneStrategy>,
}

/// The result of pruning.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ThreadPruneResponse {
    /// The number of pruned threads.
    pruned_count: usize,
}

/// Prune Threads
///
/// Deletes threads, or all of their checkpoints except the latest. It skips threads with a run in flight and threads
/// that do not exist. If an authorizer filters the caller's threads, a thread outside of the filter makes the request
/// fail.
#[utoipa::path(
    post, path = "/threads/prune", tag = "Threads", operation_id = "prune_threads",
    request_body = ThreadPruneRequest,
    responses(
        (status = 200, description = "The result", body = ThreadPruneResponse),
        (status = 404, description = "A thread does not exist for this caller", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn prune_threads(
    State(app): State<App>,
    caller: Caller,
    SmallBody(body): SmallBody<ThreadPruneRequest>,
) -> ApiResult<Json<ThreadPruneResponse>> {
    let ids = body.thread_ids.iter().map(|id| parse_id(id, "thread")).collect::<Result<Vec<ThreadId>, _>>()?;
    let value = || json!({"thread_id": null, "run_id": null, "thread_ids": ids});
    let scope = caller.may(Resource::Threads, Action::Delete, value).await?.scope;
    if scope.filter.is_some() {
        let asked: BTreeSet<_> = ids.iter().copied().collect();
        let query = ThreadQuery::default().with_ids(Some(asked.iter().copied().collect()));
        if app.storage.count_threads(&scope, &query).await? < asked.len() as u64 {
            return Err(ApiError::not_found("At least one thread not found or not authorized"));
        }
    }
    let done = app.runs.prune_threads(&scope, &ids, body.strategy.unwrap_or_default()).await?;
    Ok(Json(ThreadPruneResponse { pruned_count: done.deleted.len() + done.cut.len() }))
}
