use axum::body::Body as HttpBody;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use langopen_core::auth::{Action, Resource};
use langopen_core::event_log::Event;
use langopen_core::run_service::Visibility;
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::listen::{denied, listen};
use crate::agent::App;
use crate::agent::ThreadPath;
use crate::agent::error::{ApiError, ApiResult, ErrorResponse};
use crate::http::access::Caller;
use crate::http::extract::Query;
use crate::http::sse::{ServerSentEvent, last_event_id, locations, response};

/// The kinds of events that a client can select.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "names the choices in the API's document")]
pub(super) enum ThreadStreamMode {
    /// The beginning and the end of runs.
    Lifecycle,
    /// All events of runs.
    RunModes,
    /// Updates of the state from outside of a run.
    StateUpdate,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the query in the API's document; it is read in more forms than one")]
pub(super) struct ThreadStreamQuery {
    /// The events to send: repeated, comma-joined or a JSON array; `run_modes` if absent. `stream_mode` is an alias.
    #[param(inline)]
    stream_modes: Option<Vec<ThreadStreamMode>>,
}

/// The kinds of events that a client has selected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Modes {
    lifecycle: bool,
    run_modes: bool,
    state_update: bool,
}

impl Modes {
    fn parse(names: &[String]) -> ApiResult<Self> {
        let mut modes = Self::default();
        for name in names {
            match name.as_str() {
                "lifecycle" => modes.lifecycle = true,
                "run_modes" => modes.run_modes = true,
                "state_update" => modes.state_update = true,
                _ => return Err(ApiError::invalid(format!("Invalid stream mode: {name}"))),
            }
        }
        modes.run_modes |= names.is_empty();
        Ok(modes)
    }

    pub(super) fn want(self, event: &Event) -> bool {
        match &*event.name {
            "state_update" => self.state_update,
            "metadata" => self.run_modes || self.lifecycle,
            _ => self.run_modes,
        }
    }
}

/// Join Thread Stream
///
/// Streams the events of a thread, run after run. The stream starts now, or after `Last-Event-ID`, and lasts until the
/// client closes it or the thread is deleted. The server replays the events of resumable runs and those of the thread
/// itself. The thread need not exist yet.
#[utoipa::path(
    get, path = "/threads/{thread_id}/stream", tag = "Threads", operation_id = "join_thread_stream",
    params(
        ("thread_id" = Uuid, Path, description = "The thread"),
        ("Last-Event-ID" = Option<String>, Header, description = "The last event that the client has received; `-`, `0` or `-1` for none"),
        ThreadStreamQuery,
    ),
    responses(
        (status = 200, description = "The thread's events", body = ServerSentEvent, content_type = "text/event-stream"),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn join_thread_stream(
    State(app): State<App>,
    caller: Caller,
    ThreadPath(thread_id): ThreadPath,
    query: Query,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let permit = caller.may(Resource::Threads, Action::Read, || json!({"thread_id": thread_id})).await?;
    let names = [query.list("stream_modes"), query.list("stream_mode")].concat();
    let modes = Modes::parse(&names)?;
    let from = last_event_id(&headers)?;
    let (reader, visibility) = app.runs.read_thread(permit.scope, thread_id, from).await?;
    let body = match visibility {
        Visibility::Hidden => HttpBody::from(denied()),
        _ => HttpBody::from_stream(listen(reader, app.settings.heartbeat, modes)),
    };
    Ok(response(body, locations(None, None)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_choose_events_by_name() {
        let wanted = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            let modes = Modes::parse(&names).unwrap();
            let event = |name: &str| Event {
                id: langopen_core::event_log::EventId::ZERO,
                run_id: None,
                name: name.into(),
                data: "{}".into(),
            };
            ["metadata", "values", "error", "state_update"].map(|name| modes.want(&event(name)))
        };
        assert_eq!(wanted(&[]), [true, true, true, false]);
        assert_eq!(wanted(&["run_modes"]), [true, true, true, false]);
        assert_eq!(wanted(&["lifecycle"]), [true, false, false, false]);
        assert_eq!(wanted(&["state_update"]), [false, false, false, true]);
        assert_eq!(wanted(&["state_update", "lifecycle"]), [true, false, false, true]);
        assert_eq!(wanted(&["run_modes", "state_update"]), [true; 4]);
        assert!(Modes::parse(&["values".to_owned()]).is_err());
    }
}
