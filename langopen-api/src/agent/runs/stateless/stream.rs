use axum::extract::State;
use axum::response::Response;

use crate::agent::App;
use crate::agent::Forwarded;
use crate::agent::error::{ApiResult, ErrorResponse};
use crate::agent::run_body::RunCreateStreamingStateless;
use crate::agent::runs::stream::start;
use crate::http::access::Caller;
use crate::http::extract::Body;
use crate::http::sse::ServerSentEvent;

/// Create Run, Stream Output
///
/// Creates a run on a thread of its own and streams its events.
#[utoipa::path(
    post, path = "/runs/stream", tag = "Stateless Runs", operation_id = "stream_stateless_run",
    request_body = RunCreateStreamingStateless,
    responses(
        (status = 200, description = "The run's events", body = ServerSentEvent, content_type = "text/event-stream",
            headers(("Content-Location" = String, description = "The path of the run."))),
        (status = 400, description = "Both context and configurable are given, or the command resumes", body = ErrorResponse),
        (status = 404, description = "No such assistant", body = ErrorResponse),
        (status = 409, description = "Conflict", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn stream_stateless_run(
    State(app): State<App>,
    caller: Caller,
    forwarded: Forwarded,
    Body(body): Body<RunCreateStreamingStateless>,
) -> ApiResult<Response> {
    start(&app, &caller, &forwarded, None, body.into()).await
}
