use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use langopen_core::ThreadId;
use langopen_core::event_log::{EventId, LogKey};
use langopen_core::run_service::{RunRead, RunReader};

use super::outcome::{Answer, Outcome, has_feedback, respond};
use super::submit::{Attach, Submitted, submit};
use crate::agent::App;
use crate::agent::error::{ApiError, ApiResult, ErrorResponse};
use crate::agent::run_body::{RunCreate, RunCreateStreamingStateful};
use crate::agent::{Forwarded, NewRunPath};
use crate::http::access::Caller;
use crate::http::extract::Body;
use crate::http::sse::locations;

/// Create Run, Wait for Output
///
/// Creates a run on a thread, waits until it has ended and returns its last values.
#[utoipa::path(
    post, path = "/threads/{thread_id}/runs/wait", tag = "Thread Runs", operation_id = "wait_run",
    params(("thread_id" = Uuid, Path, description = "The thread")),
    request_body = RunCreateStreamingStateful,
    responses(
        (status = 200, description = "The last values, `__interrupt__` or `__error__`", body = serde_json::Value,
            headers(("Content-Location" = String, description = "The path of the run; its stream can be joined there."))),
        (status = 400, description = "Both context and configurable are given", body = ErrorResponse),
        (status = 404, description = "No such thread or assistant", body = ErrorResponse),
        (status = 409, description = "The thread is busy", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn wait_run(
    State(app): State<App>,
    caller: Caller,
    NewRunPath(thread_id): NewRunPath,
    forwarded: Forwarded,
    Body(body): Body<RunCreateStreamingStateful>,
) -> ApiResult<Response> {
    start(&app, &caller, &forwarded, Some(thread_id), body.into()).await
}

/// Creates a run and waits until it has ended.
pub(super) async fn start(
    app: &App,
    caller: &Caller,
    forwarded: &Forwarded,
    thread_id: Option<ThreadId>,
    create: RunCreate,
) -> ApiResult<Response> {
    let Submitted { run, events, guard } = submit(app, caller, forwarded, thread_id, create, Attach::Values).await?;
    let events = events.ok_or_else(ApiError::internal)?;
    let tenant = &caller.identity.tenant;
    let log = LogKey { thread_id: run.thread_id, run_id: run.run_id };
    let reader = app.follow(tenant, log, run.resumable, events).after(EventId::ZERO);
    let path = format!("/threads/{}/runs/{}", run.thread_id, run.run_id);
    let answer = Answer::Outcome { feedback: has_feedback(&run) };
    let headers = locations(Some(format!("{path}/join")), Some(path));
    Ok(respond(app, reader, guard, answer, headers))
}

/// Creates a run on a thread of its own, and waits for its outcome: its last values, `__interrupt__` or `__error__`, as
/// JSON.
pub(crate) async fn come_to(app: &App, caller: &Caller, forwarded: &Forwarded, create: RunCreate) -> ApiResult<Bytes> {
    let Submitted { run, events, mut guard } = submit(app, caller, forwarded, None, create, Attach::Values).await?;
    let events = events.ok_or_else(ApiError::internal)?;
    let tenant = &caller.identity.tenant;
    let log = LogKey { thread_id: run.thread_id, run_id: run.run_id };
    let reader = app.follow(tenant, log, run.resumable, events).after(EventId::ZERO);
    let body = ended(app, reader).await;
    guard.disarm();
    Ok(body)
}

/// Waits for the outcome of a run.
pub(crate) async fn ended(app: &App, mut reader: RunReader) -> Bytes {
    let mut outcome = Outcome::default();
    while let Some(read) = reader.next().await {
        if let RunRead::Events(events) = &read {
            events.iter().for_each(|event| outcome.absorb(event));
        }
    }
    outcome.settle(app, &reader).await
}
