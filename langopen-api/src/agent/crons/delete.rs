use axum::extract::State;
use http::StatusCode;
use langopen_core::ErrorKind;
use langopen_core::auth::{Action, Resource};
use serde_json::json;

use crate::agent::App;
use crate::agent::CronPath;
use crate::agent::error::{ApiError, ApiResult, ErrorResponse, OnKind};
use crate::http::access::Caller;

/// Delete Cron
///
/// Deletes a cron. Its runs stay.
#[utoipa::path(
    delete, path = "/runs/crons/{cron_id}", tag = "Crons", operation_id = "delete_cron",
    params(("cron_id" = Uuid, Path, description = "The cron")),
    responses(
        (status = 204, description = "The cron is gone"),
        (status = 404, description = "No such cron", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn delete_cron(
    State(app): State<App>,
    caller: Caller,
    CronPath(id): CronPath,
) -> ApiResult<StatusCode> {
    let scope = caller.may(Resource::Crons, Action::Delete, || json!({"cron_id": id})).await?.scope;
    app.storage.delete_cron(&scope, id).await.on(ErrorKind::NotFound, || ApiError::not_found("Not Found"))?;
    Ok(StatusCode::NO_CONTENT)
}
