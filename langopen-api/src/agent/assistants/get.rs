use axum::Json;
use axum::extract::State;

use super::read;
use crate::agent::App;
use crate::agent::AssistantPath;
use crate::agent::error::{ApiResult, ErrorResponse};
use crate::agent::wire::AssistantBody;
use crate::http::access::Caller;

/// Get Assistant
#[utoipa::path(
    get, path = "/assistants/{assistant_id}", tag = "Assistants", operation_id = "get_assistant",
    params(("assistant_id" = Uuid, Path, description = "The assistant")),
    responses(
        (status = 200, description = "The assistant", body = AssistantBody),
        (status = 404, description = "No such assistant", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn get_assistant(
    State(app): State<App>,
    caller: Caller,
    AssistantPath(id): AssistantPath,
) -> ApiResult<Json<AssistantBody>> {
    let (_, assistant) = read(&app, &caller, id).await?;
    Ok(Json(assistant.into()))
}
