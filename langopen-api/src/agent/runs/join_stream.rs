use axum::body::Body as HttpBody;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use langopen_core::auth::{Action, Resource, Role};
use langopen_core::event_log::{Event, EventId, LogKey, ReadFrom};
use serde_json::json;
use std::sync::Arc;

use super::on_disconnect::{CancelOnDrop, DisconnectQuery};
use super::stream::stream;
use crate::agent::App;
use crate::agent::RunPath;
use crate::agent::error::{ApiResult, ErrorResponse};
use crate::http::access::Caller;
use crate::http::extract::Query;
use crate::http::sse::{ServerSentEvent, frame, last_event_id, locations, response};

/// Join Run Stream
///
/// Streams a run's events from now on, or after `Last-Event-ID` if the run is resumable. If the run does not exist for
/// the caller, the stream consists of one `error` event.
#[utoipa::path(
    get, path = "/threads/{thread_id}/runs/{run_id}/stream", tag = "Thread Runs", operation_id = "join_run_stream",
    params(
        ("thread_id" = Uuid, Path, description = "The thread"), ("run_id" = Uuid, Path, description = "The run"),
        ("Last-Event-ID" = Option<String>, Header, description = "The last event that the client has received; an invalid id replays all events"),
        ("stream_mode" = Option<String>, Query, description = "Only events of these modes"),
        DisconnectQuery,
    ),
    responses(
        (status = 200, description = "The run's events", body = ServerSentEvent, content_type = "text/event-stream"),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn join_run_stream(
    State(app): State<App>,
    caller: Caller,
    RunPath(thread_id, run_id): RunPath,
    query: Query,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let cancel = query.flag("cancel_on_disconnect");
    if cancel {
        caller.must_be(Role::Developer)?;
    }
    let value = || json!({"thread_id": thread_id, "run_id": run_id});
    let permit = caller.may(Resource::Threads, Action::Read, value).await?;
    // A client with an invalid id gets every event again, rather than none.
    let from = last_event_id(&headers).unwrap_or(ReadFrom::After(EventId::ZERO));
    let log = LogKey { thread_id, run_id };
    // Open the log before reading the row, so that the reader misses no event in between.
    let events = app.events.read(log, from).await?;
    let Some(run) = app.storage.run(&permit.scope, thread_id, run_id).await? else {
        let thread = app.storage.thread(&permit.scope, thread_id).await?;
        return Ok(response(HttpBody::from(missing(thread.is_some())), locations(None, None)));
    };
    let tenant = &caller.identity.tenant;
    let over = run.status.is_terminal();
    let cancel = cancel && !over;
    let guard = CancelOnDrop::new(&app, tenant, log, cancel);
    let reader = app.follow(tenant, log, run.resumable, events).over(over);
    let reader = match from {
        ReadFrom::After(last) => reader.after(last),
        ReadFrom::Now => reader,
    };
    let path = format!("/threads/{thread_id}/runs/{run_id}");
    let modes: Arc<[String]> = query.list("stream_mode").into();
    let body = HttpBody::from_stream(stream(&app, reader, guard, run.resumable, move |event| wanted(&modes, event)));
    Ok(response(body, locations(Some(format!("{path}/stream")), Some(path))))
}

/// The `error` event for a run that does not exist. Clients treat an error status as a lost connection and reconnect;
/// an event ends the stream.
fn missing(thread_is_there: bool) -> Bytes {
    match thread_is_there {
        true => frame(b"error", br#"{"error":"HTTPException","message":"404: Run not found"}"#),
        false => frame(b"error", br#"{"error":"HTTPException","message":"404: Thread not found"}"#),
    }
}

/// Whether an event belongs to one of the modes; without modes, every event does. Errors always pass.
fn wanted(modes: &[String], event: &Event) -> bool {
    let base = event.name.split(['|', '/']).next().unwrap_or_default();
    modes.is_empty()
        || base == "error"
        || modes.iter().any(|mode| mode == base || mode == "messages-tuple" && base == "messages")
}
