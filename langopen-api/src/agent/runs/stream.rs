use axum::body::Body as HttpBody;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use langopen_core::ThreadId;
use langopen_core::event_log::{Event, EventId, LogKey};
use langopen_core::run_service::{Completeness, RunRead, RunReader};
use std::convert::Infallible;
use tokio::time::Instant;

use super::ending::Shown;
use super::on_disconnect::CancelOnDrop;
use super::outcome::stored_outcome;
use super::submit::{Attach, Submitted, submit};
use crate::agent::App;
use crate::agent::error::{ApiError, ApiResult, ErrorResponse};
use crate::agent::run_body::{RunCreate, RunCreateStreamingStateful};
use crate::agent::{Forwarded, NewRunPath};
use crate::http::access::Caller;
use crate::http::extract::Body;
use crate::http::sse::{HEARTBEAT, ServerSentEvent, frame, frames, locations, response};

/// Create Run, Stream Output
///
/// Creates a run on a thread and streams its events.
#[utoipa::path(
    post, path = "/threads/{thread_id}/runs/stream", tag = "Thread Runs", operation_id = "stream_run",
    params(("thread_id" = Uuid, Path, description = "The thread")),
    request_body = RunCreateStreamingStateful,
    responses(
        (status = 200, description = "The run's events", body = ServerSentEvent, content_type = "text/event-stream",
            headers(("Content-Location" = String, description = "The path of the run; its stream can be joined there."))),
        (status = 400, description = "Both context and configurable are given", body = ErrorResponse),
        (status = 404, description = "No such thread or assistant", body = ErrorResponse),
        (status = 409, description = "The thread is busy", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn stream_run(
    State(app): State<App>,
    caller: Caller,
    NewRunPath(thread_id): NewRunPath,
    forwarded: Forwarded,
    Body(body): Body<RunCreateStreamingStateful>,
) -> ApiResult<Response> {
    start(&app, &caller, &forwarded, Some(thread_id), body.into()).await
}

/// Creates a run and streams its events.
pub(super) async fn start(
    app: &App,
    caller: &Caller,
    forwarded: &Forwarded,
    thread_id: Option<ThreadId>,
    create: RunCreate,
) -> ApiResult<Response> {
    let Submitted { run, events, guard } = submit(app, caller, forwarded, thread_id, create, Attach::Stream).await?;
    let events = events.ok_or_else(ApiError::internal)?;
    let tenant = &caller.identity.tenant;
    let log = LogKey { thread_id: run.thread_id, run_id: run.run_id };
    let reader = app.follow(tenant, log, run.resumable, events).after(EventId::ZERO);
    let path = format!("/threads/{}/runs/{}", run.thread_id, run.run_id);
    let shown = if thread_id.is_some() { path.clone() } else { format!("/runs/{}", run.run_id) };
    let headers = locations(Some(format!("{path}/stream")), Some(shown));
    let body = HttpBody::from_stream(stream(app, reader, guard, run.resumable, |_| true));
    Ok(response(body, headers))
}

/// The `error` event of a stream whose client read too slowly, for a run that is not resumable.
const SLOW_READER: &[u8] = br#"{"error":"SlowReader","message":"the client read this stream too slowly, so events were lost; join the run for its result, or create runs with stream_resumable to be able to resume"}"#;

/// The frames of a run's events that pass `filter`, with heartbeats.
pub(super) fn stream(
    app: &App,
    reader: RunReader,
    guard: CancelOnDrop,
    ids: bool,
    filter: impl Fn(&Event) -> bool + Send + Clone + 'static,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    let app = app.clone();
    let state = (reader, guard, Shown::default(), Instant::now(), false);
    let frames = futures::stream::unfold(state, move |(mut reader, mut guard, mut shown, sent, mut ended)| {
        let (app, filter) = (app.clone(), filter.clone());
        async move {
            while !ended {
                let pieces = match reader.next().await {
                    Some(RunRead::Events(events)) => {
                        events.iter().for_each(|event| shown.note(event));
                        frames(events.iter().filter(|event| filter(event)), ids)
                    }
                    Some(RunRead::Idle) => vec![HEARTBEAT],
                    Some(RunRead::Gap) => {
                        // A stream with a gap would look complete, so it ends here. The run continues, and the client
                        // can join it for its result.
                        guard.disarm();
                        ended = true;
                        vec![frame(b"error", SLOW_READER)]
                    }
                    None => {
                        guard.disarm();
                        ended = true;
                        // A client that joined after the end gets no outcome.
                        let completeness =
                            if reader.is_late() { Completeness::Complete } else { reader.completeness() };
                        let rest = shown.rest(completeness, stored_outcome(&app, reader.scope(), reader.log())).await;
                        // The frames have no ids, because the log does not contain these events.
                        frames(rest.iter().filter(|event| filter(event)), false)
                    }
                };
                // If the client filters all events out, it needs heartbeats too.
                let silent = pieces.is_empty() && !ended && sent.elapsed() >= reader.heartbeat();
                let pieces = if silent { vec![HEARTBEAT] } else { pieces };
                if !pieces.is_empty() {
                    return Some((pieces, (reader, guard, shown, Instant::now(), ended)));
                }
            }
            None
        }
    });
    frames.flat_map(|pieces| futures::stream::iter(pieces.into_iter().map(Ok)))
}
