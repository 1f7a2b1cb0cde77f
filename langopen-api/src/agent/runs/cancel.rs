use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use langopen_core::auth::{Action, Resource};
use langopen_core::event_log::{LogKey, ReadFrom};
use langopen_core::model::{CancelAction, CancelRequest};
use langopen_core::{Error, ErrorKind, RunId, Scope, ThreadId};
use serde_json::json;

use super::on_disconnect::CancelOnDrop;
use super::outcome::{Answer, respond};
use crate::agent::App;
use crate::agent::RunPath;
use crate::agent::error::{ApiError, ApiResult, ErrorResponse};
use crate::http::access::Caller;
use crate::http::extract::Query;
use crate::http::sse::locations;
use utoipa::IntoParams;

// This struct only documents the query; the handler reads it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its schema is used")]
struct CancelQuery {
    /// Whether to answer only when the run has ended.
    #[param(default = false)]
    wait: Option<bool>,
    #[param(inline)]
    action: Option<CancelAction>,
}

/// Cancel Run
///
/// Cancels a run. With `rollback`, the server also undoes and deletes it.
#[utoipa::path(
    post, path = "/threads/{thread_id}/runs/{run_id}/cancel", tag = "Thread Runs", operation_id = "cancel_run",
    params(
        ("thread_id" = Uuid, Path, description = "The thread"), ("run_id" = Uuid, Path, description = "The run"),
        CancelQuery,
    ),
    responses(
        (status = 200, description = "The run has ended", body = serde_json::Value),
        (status = 202, description = "The run will end"),
        (status = 404, description = "No such run in flight", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn cancel_run(
    State(app): State<App>,
    caller: Caller,
    RunPath(thread_id, run_id): RunPath,
    query: Query,
) -> ApiResult<Response> {
    let value = || json!({"thread_id": thread_id, "metadata": {}, "action": action(&query).as_str()});
    let scope = caller.may(Resource::Threads, Action::Update, value).await?.scope;
    let wait = query.flag("wait");
    let log = LogKey { thread_id, run_id };
    let events = if wait { Some(app.events.read(log, ReadFrom::Now).await?) } else { None };
    let request = wish(&query, "/threads/{thread_id}/runs/{run_id}/cancel");
    if let Err(error) = app.runs.cancel(&scope, thread_id, run_id, request).await {
        return Err(refused(&app, &scope, thread_id, run_id, error).await);
    }
    let Some(events) = events else { return Ok(StatusCode::ACCEPTED.into_response()) };
    let tenant = &caller.identity.tenant;
    let guard = CancelOnDrop::new(&app, tenant, log, false);
    let reader = app.follow(tenant, log, false, events);
    let path = format!("/threads/{thread_id}/runs/{run_id}");
    let headers = locations(Some(format!("{path}/join")), Some(path));
    Ok(respond(&app, reader, guard, Answer::Events, headers))
}

pub(super) fn action(query: &Query) -> CancelAction {
    query.last("action").and_then(CancelAction::parse).unwrap_or(CancelAction::Interrupt)
}

/// The cancel request that the query describes. An unknown action counts as `interrupt`.
pub(super) fn wish(query: &Query, route: &str) -> CancelRequest {
    let action = action(query);
    CancelRequest { action, reason: format!("{} requested via POST {route}", action.as_str()) }
}

async fn refused(app: &App, scope: &Scope, thread_id: ThreadId, run_id: RunId, error: Error) -> ApiError {
    if error.kind() != ErrorKind::NotFound {
        return error.into();
    }
    match app.storage.run(scope, thread_id, run_id).await {
        Ok(Some(_)) => ApiError::not_found(
            "No matching runs to cancel. Please verify the thread ID and run IDs are correct, and the runs haven't been deleted \
             or completed.",
        ),
        Ok(None) => ApiError::not_found("No runs found to cancel."),
        Err(error) => error.into(),
    }
}
