use axum::extract::State;
use http::StatusCode;
use langopen_core::auth::{Action, Resource};
use langopen_core::model::ThreadQuery;
use langopen_core::{AssistantId, ErrorKind, JsonMap, Scope};
use serde_json::json;
use utoipa::IntoParams;

use crate::access::Caller;
use crate::error::{ApiError, ApiResult, ErrorResponse, OnKind};
use crate::extract::field::MAX_LIMIT;
use crate::extract::{AssistantPath, Query};
use crate::runs::close_streams;
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
/// Removes an assistant with its versions.
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
    let mut threads = threads;
    if threads {
        let permit =
            caller.may(Resource::Threads, Action::Delete, || json!({"thread_id": null, "run_id": null})).await?;
        if permit.scope.filter.is_some() {
            delete_threads(&app, &scope, &permit.scope, id).await?;
            threads = false;
        }
    }
    let deleted = app.storage.delete_assistant(&scope, id, threads).await;
    let gone = deleted.on(ErrorKind::NotFound, || not_found(id))?;
    close_streams(&app, gone).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes the assistant's threads that the caller may remove; others stay.
async fn delete_threads(app: &App, scope: &Scope, threads: &Scope, id: AssistantId) -> ApiResult<()> {
    if app.storage.assistant(scope, id).await?.is_none() {
        return Err(not_found(id));
    }
    let metadata = JsonMap::from_iter([("assistant_id".to_owned(), id.to_string().into())]);
    let query = ThreadQuery { metadata, limit: MAX_LIMIT, ..ThreadQuery::default() };
    loop {
        let page = app.storage.search_threads(threads, &query).await?;
        for thread in page.items {
            match app.storage.delete_thread(threads, thread.thread_id).await {
                Ok(gone) => close_streams(app, gone).await,
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        if !page.more {
            return Ok(());
        }
    }
}

fn not_found(id: AssistantId) -> ApiError {
    ApiError::not_found(format!("Assistant with ID {id} not found"))
}
