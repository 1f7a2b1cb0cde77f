use axum::extract::State;
use http::StatusCode;
use langopen_core::ErrorKind;
use langopen_core::auth::{Action, Resource};
use serde_json::json;
use utoipa::IntoParams;

use super::system;
use crate::agent::App;
use crate::agent::AssistantPath;
use crate::agent::error::{ApiError, ApiResult, ErrorResponse, OnKind};
use crate::http::access::Caller;
use crate::http::extract::Query;

// This struct only documents the query; the handler reads it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its schema is used")]
struct DeleteQuery {
    /// Also delete the threads whose metadata names the assistant.
    #[param(default = false)]
    delete_threads: Option<bool>,
}

/// Delete Assistant
///
/// Deletes an assistant with its versions, and cancels its runs in flight. The server recreates the system assistant of
/// a graph at once, in its original form.
#[utoipa::path(
    delete, path = "/assistants/{assistant_id}", tag = "Assistants", operation_id = "delete_assistant",
    params(
        ("assistant_id" = Uuid, Path, description = "The assistant"),
        DeleteQuery,
    ),
    responses(
        (status = 204, description = "The assistant is gone"),
        (status = 404, description = "No such assistant", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn delete_assistant(
    State(app): State<App>,
    caller: Caller,
    AssistantPath(id): AssistantPath,
    query: Query,
) -> ApiResult<StatusCode> {
    let threads = query.strict_flag("delete_threads")?.unwrap_or_default();
    let scope = caller.may(Resource::Assistants, Action::Delete, || json!({"assistant_id": id})).await?.scope;
    let threads = match threads {
        true => {
            let value = || json!({"thread_id": null, "run_id": null});
            Some(caller.may(Resource::Threads, Action::Delete, value).await?.scope)
        }
        false => None,
    };
    let deleted = app.runs.delete_assistant(&scope, id, threads.as_ref()).await;
    // This also runs after a failure, because an earlier request may have ended between the two steps.
    system::restore(&app, &scope.tenant, id).await?;
    deleted.on(ErrorKind::NotFound, || ApiError::not_found(format!("Assistant with ID {id} not found")))?;
    Ok(StatusCode::NO_CONTENT)
}
