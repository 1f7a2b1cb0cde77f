use std::convert::Infallible;

use axum::body::Body as HttpBody;
use axum::extract::State;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures::Stream;
use langopen_core::JsonMap;
use langopen_core::auth::{Action, Resource};
use serde_json::json;
use tokio::time::{Instant, timeout};
use utoipa::ToSchema;

use super::envelope::LOST;
use super::filter::Filter;
use super::tape::{Play, Tape};
use crate::agent::App;
use crate::agent::ThreadPath;
use crate::agent::error::{ApiError, ApiResult, ErrorResponse};
use crate::http::access::Caller;
use crate::http::extract::SmallBody;
use crate::http::sse::{HEARTBEAT, ServerSentEvent, frame, locations, response};

/// The events of a thread that a client wants.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body in the API's document; it is read by Filter::parse")]
pub(super) struct ProtocolEventStreamRequest {
    /// `values`, `updates`, `messages`, `tools`, `lifecycle`, `input`, `checkpoints`, `tasks`, `custom` or
    /// `custom:<name>`.
    #[schema(min_items = 1)]
    channels: Vec<String>,
    /// Only events of graphs at or below one of these namespaces. A step without a task matches every task.
    #[schema(nullable = false)]
    namespaces: Option<Vec<Vec<String>>>,
    /// The greatest depth below a namespace.
    #[schema(minimum = 0, nullable = false)]
    depth: Option<u64>,
    /// Only events after this number.
    #[schema(minimum = 0, nullable = false)]
    since: Option<u64>,
}

/// Stream Thread Events
///
/// Streams the protocol's events of a thread: first the kept events after `since`, then new ones, for all runs. The
/// stream ends when the client closes it or the thread is deleted. The thread need not exist yet.
#[utoipa::path(
    post, path = "/threads/{thread_id}/stream/events", tag = "Threads", operation_id = "stream_thread_events",
    params(("thread_id" = Uuid, Path, description = "The thread")),
    request_body = ProtocolEventStreamRequest,
    responses(
        (status = 200, description = "The thread's events", body = ServerSentEvent, content_type = "text/event-stream"),
        (status = 400, description = "Invalid request", body = ErrorResponse),
        (status = 404, description = "No such thread for this caller", body = ErrorResponse),
        (status = 422, description = "Invalid thread ID", body = ErrorResponse),
    )
)]
pub(super) async fn stream_events(
    State(app): State<App>,
    caller: Caller,
    ThreadPath(thread_id): ThreadPath,
    body: ApiResult<SmallBody<JsonMap>>,
) -> ApiResult<Response> {
    let SmallBody(request) = body.map_err(ApiError::malformed)?;
    let filter = Filter::parse(&request).map_err(ApiError::bad_request)?;
    let permit = caller.may(Resource::Threads, Action::Read, || json!({"thread_id": thread_id})).await?;
    let tape = Tape::open(&app, permit.scope, thread_id).await?;
    Ok(response(HttpBody::from_stream(stream(tape, filter)), locations(None, None)))
}

fn stream(tape: Tape, filter: Filter) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    let state = Some((tape, filter));
    futures::stream::unfold(state, |state| async move {
        let (mut tape, filter) = state?;
        let (bytes, ended) = next(&mut tape, &filter).await;
        if bytes.is_empty() {
            return None;
        }
        Some((Ok(bytes), (!ended).then_some((tape, filter))))
    })
}

/// The next bytes to send, and whether they are the last; no bytes at the end.
async fn next(tape: &mut Tape, filter: &Filter) -> (Bytes, bool) {
    let heartbeat = tape.patience();
    let begun = Instant::now();
    loop {
        // Events that the client does not want count as silence.
        let (play, quiet) = match timeout(heartbeat.saturating_sub(begun.elapsed()), tape.wait()).await {
            Ok(None) => return (Bytes::new(), true),
            Ok(Some(read)) => (tape.take(read, filter.methods).await, false),
            Err(_) => (tape.quiet().await, true),
        };
        let events = match play {
            Play::Events(events) => events,
            Play::Gone => return (Bytes::new(), true),
            Play::Lost => return (frame(b"error", LOST.as_bytes()), true),
        };
        let mut out = BytesMut::new();
        events.iter().filter(|event| filter.wants(event)).for_each(|event| event.write_frame(&mut out));
        match out.is_empty() {
            false => return (out.freeze(), false),
            true if quiet || begun.elapsed() >= heartbeat => return (HEARTBEAT, false),
            true => {}
        }
    }
}
