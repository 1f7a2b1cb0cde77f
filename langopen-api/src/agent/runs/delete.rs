use axum::extract::State;
use http::StatusCode;
use langopen_core::ErrorKind;
use langopen_core::auth::{Action, Resource};
use serde_json::json;

use crate::agent::App;
use crate::agent::RunPath;
use crate::agent::error::{ApiError, ApiResult, ErrorResponse, OnKind};
use crate::http::access::Caller;

/// Delete Run
#[utoipa::path(
    delete, path = "/threads/{thread_id}/runs/{run_id}", tag = "Thread Runs", operation_id = "delete_run",
    params(("thread_id" = Uuid, Path, description = "The thread"), ("run_id" = Uuid, Path, description = "The run")),
    responses(
        (status = 204, description = "The run is gone"),
        (status = 404, description = "No such run", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn delete_run(
    State(app): State<App>,
    caller: Caller,
    RunPath(thread_id, run_id): RunPath,
) -> ApiResult<StatusCode> {
    let value = || json!({"thread_id": thread_id, "run_id": run_id});
    let scope = caller.may(Resource::Threads, Action::Delete, value).await?.scope;
    let deleted = app.runs.delete(&scope, thread_id, run_id).await;
    deleted.on(ErrorKind::NotFound, || ApiError::not_found("Run not found"))?;
    Ok(StatusCode::NO_CONTENT)
}
