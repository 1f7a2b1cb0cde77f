use axum::Json;
use axum::extract::State;

use crate::agent::App;
use crate::agent::Forwarded;
use crate::agent::error::{ApiError, ApiResult, ErrorResponse};
use crate::agent::run_body::RunBatchCreate;
use crate::agent::runs::submit::{Attach, submit};
use crate::agent::wire::RunBody;
use crate::http::access::Caller;
use crate::http::extract::ListBody;
use crate::http::extract::field::Object;

/// Create Run Batch
///
/// Creates runs, each on a thread of its own. The first refused run ends the batch; the server keeps the runs before
/// it.
#[utoipa::path(
    post, path = "/runs/batch", tag = "Stateless Runs", operation_id = "batch_runs",
    request_body = RunBatchCreate,
    responses(
        (status = 200, description = "The runs", body = Vec<RunBody>),
        (status = 400, description = "Both context and configurable are given, or the command resumes", body = ErrorResponse),
        (status = 404, description = "No such assistant", body = ErrorResponse),
        (status = 409, description = "Conflict", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn batch_runs(
    State(app): State<App>,
    caller: Caller,
    forwarded: Forwarded,
    ListBody(RunBatchCreate(bodies)): ListBody<RunBatchCreate>,
) -> ApiResult<Json<Vec<RunBody>>> {
    if bodies.is_empty() {
        return Err(ApiError::invalid("[] has less than 1 item"));
    }
    let mut runs = Vec::with_capacity(bodies.len());
    for Object(body) in bodies {
        let submitted = submit(&app, &caller, &forwarded, None, body.into(), Attach::Nothing).await?;
        runs.push(RunBody::from(submitted.run));
    }
    Ok(Json(runs))
}
