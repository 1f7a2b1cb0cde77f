use axum::extract::State;
use axum::response::Response;
use langopen_core::auth::{Action, Resource, Role};
use langopen_core::event_log::{LogKey, ReadFrom};
use serde_json::json;

use super::on_disconnect::{CancelOnDrop, DisconnectQuery};
use super::outcome::{Answer, has_feedback, respond};
use crate::agent::App;
use crate::agent::RunPath;
use crate::agent::error::{ApiError, ApiResult, ErrorResponse};
use crate::http::access::Caller;
use crate::http::extract::Query;
use crate::http::sse::locations;

/// Join Run
///
/// Waits until a run has ended and returns its last values.
#[utoipa::path(
    get, path = "/threads/{thread_id}/runs/{run_id}/join", tag = "Thread Runs", operation_id = "join_run",
    params(
        ("thread_id" = Uuid, Path, description = "The thread"), ("run_id" = Uuid, Path, description = "The run"),
        DisconnectQuery,
    ),
    responses(
        (status = 200, description = "The last values, `__interrupt__` or `__error__`", body = serde_json::Value),
        (status = 404, description = "No such run", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn join_run(
    State(app): State<App>,
    caller: Caller,
    RunPath(thread_id, run_id): RunPath,
    query: Query,
) -> ApiResult<Response> {
    let cancel = query.flag("cancel_on_disconnect");
    if cancel {
        caller.must_be(Role::Developer)?;
    }
    let value = || json!({"thread_id": thread_id, "run_id": run_id});
    let permit = caller.may(Resource::Threads, Action::Read, value).await?;
    let log = LogKey { thread_id, run_id };
    let events = app.events.read(log, ReadFrom::Now).await?;
    let Some(run) = app.storage.run(&permit.scope, thread_id, run_id).await? else {
        let thread = app.storage.thread(&permit.scope, thread_id).await?;
        return Err(ApiError::not_found(if thread.is_some() { "Run not found" } else { "Thread not found" }));
    };
    let tenant = &caller.identity.tenant;
    let over = run.status.is_terminal();
    let guard = CancelOnDrop::new(&app, tenant, log, cancel && !over);
    let events = if over { Box::pin(futures::stream::empty()) } else { events };
    let reader = app.follow(tenant, log, run.resumable, events);
    let path = format!("/threads/{thread_id}/runs/{run_id}");
    let answer = Answer::Outcome { feedback: has_feedback(&run) };
    let headers = locations(Some(format!("{path}/join")), Some(path));
    Ok(respond(&app, reader, guard, answer, headers))
}
