use axum::extract::State;
use http::StatusCode;
use langopen_core::ErrorKind;
use langopen_core::auth::{Action, Resource};
use serde_json::json;

use crate::agent::App;
use crate::agent::ThreadPath;
use crate::agent::error::{ApiResult, ErrorResponse, OnKind};
use crate::agent::thread::not_found;
use crate::http::access::Caller;

/// Delete Thread
///
/// Deletes a thread with its runs and checkpoints.
#[utoipa::path(
    delete, path = "/threads/{thread_id}", tag = "Threads", operation_id = "delete_thread",
    params(("thread_id" = Uuid, Path, description = "The thread")),
    responses(
        (status = 204, description = "The thread is gone"),
        (status = 404, description = "No such thread", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn delete_thread(
    State(app): State<App>,
    caller: Caller,
    ThreadPath(thread_id): ThreadPath,
) -> ApiResult<StatusCode> {
    let scope = caller.may(Resource::Threads, Action::Delete, || json!({"thread_id": thread_id})).await?.scope;
    app.runs.delete_thread(&scope, thread_id).await.on(ErrorKind::NotFound, || not_found(thread_id))?;
    Ok(StatusCode::NO_CONTENT)
}
