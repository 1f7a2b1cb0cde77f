use axum::Json;
use axum::extract::State;
use langopen_core::auth::{Action, Resource};
use serde_json::json;

use crate::agent::App;
use crate::agent::CronPath;
use crate::agent::error::{ApiError, ApiResult, ErrorResponse};
use crate::agent::wire::CronBody;
use crate::http::access::Caller;

/// Get Cron
#[utoipa::path(
    get, path = "/runs/crons/{cron_id}", tag = "Crons", operation_id = "get_cron",
    params(("cron_id" = Uuid, Path, description = "The cron")),
    responses(
        (status = 200, description = "The cron", body = CronBody),
        (status = 404, description = "No such cron", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn get_cron(
    State(app): State<App>,
    caller: Caller,
    CronPath(id): CronPath,
) -> ApiResult<Json<CronBody>> {
    let scope = caller.may(Resource::Crons, Action::Read, || json!({"cron_id": id})).await?.scope;
    let cron = app.storage.cron(&scope, id).await?.ok_or_else(|| ApiError::not_found("Not Found"))?;
    Ok(Json(cron.into()))
}
