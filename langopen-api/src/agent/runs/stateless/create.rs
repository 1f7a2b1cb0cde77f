use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use crate::agent::App;
use crate::agent::Forwarded;
use crate::agent::error::{ApiResult, ErrorResponse};
use crate::agent::run_body::RunCreateStateless;
use crate::agent::runs::submit::{Attach, submit};
use crate::agent::wire::RunBody;
use crate::http::access::Caller;
use crate::http::extract::Body;
use crate::http::sse::locations;

/// Create Background Run
///
/// Creates a run on a thread of its own, and answers without waiting for it.
#[utoipa::path(
    post, path = "/runs", tag = "Stateless Runs", operation_id = "create_stateless_run",
    request_body = RunCreateStateless,
    responses(
        (status = 200, description = "The run", body = RunBody,
            headers(("Content-Location" = String, description = "The path of the run."))),
        (status = 400, description = "Both context and configurable are given, or the command resumes", body = ErrorResponse),
        (status = 404, description = "No such assistant", body = ErrorResponse),
        (status = 409, description = "Conflict", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn create_stateless_run(
    State(app): State<App>,
    caller: Caller,
    forwarded: Forwarded,
    Body(body): Body<RunCreateStateless>,
) -> ApiResult<Response> {
    let submitted = submit(&app, &caller, &forwarded, None, body.into(), Attach::Nothing).await?;
    let headers = locations(None, Some(format!("/runs/{}", submitted.run.run_id)));
    Ok((headers, Json(RunBody::from(submitted.run))).into_response())
}
