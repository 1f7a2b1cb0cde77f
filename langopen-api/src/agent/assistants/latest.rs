use axum::Json;
use axum::extract::State;
use langopen_core::ErrorKind;
use langopen_core::auth::{Action, Resource};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::agent::App;
use crate::agent::AssistantPath;
use crate::agent::error::{ApiError, ApiResult, ErrorResponse};
use crate::agent::wire::AssistantBody;
use crate::http::access::Caller;
use crate::http::extract::SmallBody;

/// The version to activate.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct AssistantVersionChange {
    version: i64,
}

/// Set Latest Assistant Version
#[utoipa::path(
    post, path = "/assistants/{assistant_id}/latest", tag = "Assistants", operation_id = "set_latest_assistant_version",
    params(("assistant_id" = Uuid, Path, description = "The assistant")),
    request_body = AssistantVersionChange,
    responses(
        (status = 200, description = "The assistant in that version", body = AssistantBody),
        (status = 404, description = "No such assistant or version", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn set_latest(
    State(app): State<App>,
    caller: Caller,
    AssistantPath(id): AssistantPath,
    SmallBody(body): SmallBody<AssistantVersionChange>,
) -> ApiResult<Json<AssistantBody>> {
    let version = body.version;
    let value = || {
        json!({
            "assistant_id": id, "graph_id": null, "config": {}, "context": {}, "metadata": {}, "name": null,
            "version": version,
        })
    };
    let scope = caller.may(Resource::Assistants, Action::Update, value).await?.scope;
    match app.storage.set_latest_assistant(&scope, id, version).await {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let there = app.storage.assistant(&scope, id).await?.is_some();
            Err(ApiError::not_found(match there {
                true => format!("Version {version} not found for assistant {id}"),
                false => format!("Assistant {id} not found"),
            }))
        }
        assistant => Ok(Json(assistant?.into())),
    }
}
