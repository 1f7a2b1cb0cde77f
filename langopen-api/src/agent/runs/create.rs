use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::submit::{Attach, submit};
use crate::agent::App;
use crate::agent::error::{ApiResult, ErrorResponse};
use crate::agent::run_body::RunCreateStateful;
use crate::agent::wire::RunBody;
use crate::agent::{Forwarded, NewRunPath};
use crate::http::access::Caller;
use crate::http::extract::Body;
use crate::http::sse::locations;

/// Create Background Run
///
/// Creates a run on a thread, and answers without waiting for it.
#[utoipa::path(
    post, path = "/threads/{thread_id}/runs", tag = "Thread Runs", operation_id = "create_run",
    params(("thread_id" = Uuid, Path, description = "The thread")),
    request_body = RunCreateStateful,
    responses(
        (status = 200, description = "The run", body = RunBody,
            headers(("Content-Location" = String, description = "The path of the run; its stream can be joined there."))),
        (status = 400, description = "Both context and configurable are given", body = ErrorResponse),
        (status = 404, description = "No such thread or assistant", body = ErrorResponse),
        (status = 409, description = "The thread is busy", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn create_run(
    State(app): State<App>,
    caller: Caller,
    NewRunPath(thread_id): NewRunPath,
    forwarded: Forwarded,
    Body(body): Body<RunCreateStateful>,
) -> ApiResult<Response> {
    let submitted = submit(&app, &caller, &forwarded, Some(thread_id), body.into(), Attach::Nothing).await?;
    let run = RunBody::from(submitted.run);
    let headers = locations(None, Some(run.path()));
    Ok((headers, Json(run)).into_response())
}
