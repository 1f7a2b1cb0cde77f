use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use langopen_core::auth::Role;
use langopen_core::{RawObject, ThreadId};
use serde_json::Value;

use super::envelope::{Answer, Command, ErrorCode, Malformed, Refusal, Reply};
use super::{inject, respond, start, state, status};
use crate::agent::App;
use crate::agent::error::{ApiResult, ErrorResponse};
use crate::agent::{Forwarded, ThreadPath};
use crate::http::access::Caller;
use crate::http::extract::Body;

/// A caller and the thread that its commands are for.
#[derive(Clone)]
pub(super) struct Commander {
    pub(super) app: App,
    pub(super) caller: Arc<Caller>,
    pub(super) forwarded: Arc<Forwarded>,
    pub(super) thread_id: ThreadId,
}

impl Commander {
    /// Executes a command.
    pub(super) async fn obey(&self, command: Command) -> Answer {
        let Command { method, params, .. } = command;
        if matches!(method.as_str(), "run.start" | "input.respond" | "input.inject" | "state.fork") {
            self.caller.must_be(Role::Developer)?;
        } else if params.as_str().len() > self.app.settings.max_search_body_bytes {
            let most = self.app.settings.max_search_body_bytes;
            return Err(Refusal::invalid(format!("the params of {method} may have at most {most} bytes")));
        }
        match method.as_str() {
            "run.start" => start::start(self, &params).await,
            "input.respond" => respond::respond(self, &params).await,
            "input.inject" => inject::inject(self, &params).await,
            "state.get" => state::get(self, &params).await,
            "state.listCheckpoints" => state::list_checkpoints(self, &params).await,
            "state.fork" => start::fork(self, &params).await,
            "agent.getTree" => status::tree(self).await,
            "subscription.subscribe" | "subscription.unsubscribe" | "subscription.reconnect" => Err(Refusal::new(
                ErrorCode::NotSupported,
                format!("{method} needs a WebSocket; over HTTP, each POST to …/stream/events is a subscription."),
            )),
            _ => Err(Refusal::new(ErrorCode::UnknownCommand, format!("Unknown protocol command: {method}"))),
        }
    }
}

/// Send Command
///
/// Executes a command of the protocol, e.g. starts a run, answers an interrupt or reads a state. A valid command that
/// fails returns status 200 with an error.
#[utoipa::path(
    post, path = "/threads/{thread_id}/commands", tag = "Threads", operation_id = "send_thread_command",
    params(("thread_id" = Uuid, Path, description = "The thread; `run.start` makes it")),
    request_body = Command,
    responses(
        (status = 200, description = "The answer", body = Reply),
        (status = 400, description = "Not a command", body = super::envelope::Failure),
        (status = 422, description = "Invalid thread ID", body = ErrorResponse),
    )
)]
pub(super) async fn send_command(
    State(app): State<App>,
    caller: Caller,
    ThreadPath(thread_id): ThreadPath,
    forwarded: Forwarded,
    body: ApiResult<Body<RawObject>>,
) -> ApiResult<Response> {
    let command = match body {
        Ok(Body(body)) => Command::parse(&body),
        Err(error) if error.status() == StatusCode::UNPROCESSABLE_ENTITY => Err(not_an_object(error.message())),
        Err(error) => return Err(error),
    };
    let command = match command {
        Ok(command) => command,
        Err(malformed) => return Ok((StatusCode::BAD_REQUEST, Json(Reply::malformed(malformed))).into_response()),
    };
    let (caller, forwarded) = (Arc::new(caller), Arc::new(forwarded));
    let id = command.id;
    let commander = Commander { app, caller, forwarded, thread_id };
    let progress = commander.progress().await;
    let answer = commander.obey(command).await;
    Ok(Json(Reply::new(id, answer, progress).without_position()).into_response())
}

/// The refusal of a body that is not a JSON object.
pub(super) fn not_an_object(message: &str) -> Malformed {
    Malformed { id: Value::Null, message: message.to_owned() }
}
