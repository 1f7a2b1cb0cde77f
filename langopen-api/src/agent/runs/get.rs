use axum::Json;
use axum::extract::State;
use langopen_core::auth::{Action, Resource};
use serde_json::json;

use crate::agent::App;
use crate::agent::RunPath;
use crate::agent::error::{ApiError, ApiResult, ErrorResponse};
use crate::agent::wire::RunBody;
use crate::http::access::Caller;

/// Get Run
#[utoipa::path(
    get, path = "/threads/{thread_id}/runs/{run_id}", tag = "Thread Runs", operation_id = "get_run",
    params(("thread_id" = Uuid, Path, description = "The thread"), ("run_id" = Uuid, Path, description = "The run")),
    responses(
        (status = 200, description = "The run", body = RunBody),
        (status = 404, description = "No such run", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn get_run(
    State(app): State<App>,
    caller: Caller,
    RunPath(thread_id, run_id): RunPath,
) -> ApiResult<Json<RunBody>> {
    let value = || json!({"thread_id": thread_id, "run_id": run_id});
    let scope = caller.may(Resource::Threads, Action::Read, value).await?.scope;
    let run = app.storage.run(&scope, thread_id, run_id).await?;
    match run {
        Some(run) => Ok(Json(run.into())),
        None if app.storage.thread(&scope, thread_id).await?.is_none() => {
            Err(crate::agent::thread::not_found(thread_id))
        }
        None => Err(ApiError::not_found("Not Found")),
    }
}
