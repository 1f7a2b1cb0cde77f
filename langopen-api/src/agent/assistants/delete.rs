use axum::extract::State;
use http::StatusCode;
use langopen_core::ErrorKind;
use langopen_core::auth::{Action, Resource};
use serde_json::json;
use utoipa::IntoParams;

use crate::http::access::Caller;
use crate::http::error::{ApiError, ApiResult, ErrorResponse, OnKind};
use crate::http::extract::{AssistantPath, Query};
use crate::server::App;

// It documents the query; see the handler.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its schema is used")]
struct DeleteQuery {
    /// Also remove the threads whose metadata names it.
    #[param(default = false)]
    delete_threads: Option<bool>,
}

/// Delete Assistant
///
/// Removes an assistant with its versions, and cancels its runs in flight. The system assistant of a graph is made anew at once, as it was at first.
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
    // Also after a failure: an earlier request may have ended between the two.
    app.restore_system_assistant(&scope.tenant, id).await?;
    deleted.on(ErrorKind::NotFound, || ApiError::not_found(format!("Assistant with ID {id} not found")))?;
    Ok(StatusCode::NO_CONTENT)
}
