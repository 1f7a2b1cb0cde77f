use axum::extract::{Path, State};
use axum::response::Response;
use langopen_core::ThreadId;
use langopen_core::auth::{Action, Resource};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::answer::state_at;
use crate::agent::App;
use crate::agent::ThreadPath;
use crate::agent::error::{ApiResult, ErrorResponse};
use crate::agent::thread::not_found;
use crate::agent::wire::{CheckpointConfig, ThreadStateBody, json as json_response};
use crate::http::access::Caller;
use crate::http::extract::field::Object;
use crate::http::extract::{Query, SmallBody, parse_id};

/// Get Thread State at Checkpoint
#[utoipa::path(
    get, path = "/threads/{thread_id}/state/{checkpoint_id}", tag = "Threads", operation_id = "get_thread_state_at_checkpoint",
    params(
        ("thread_id" = Uuid, Path, description = "The thread"),
        ("checkpoint_id" = String, Path, description = "The checkpoint"),
        ("subgraphs" = Option<bool>, Query, description = "Whether tasks show the states of their subgraphs"),
    ),
    responses(
        (status = 200, description = "The state; empty for an unknown checkpoint", body = ThreadStateBody),
        (status = 404, description = "No such thread", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn get_state_at(
    State(app): State<App>,
    caller: Caller,
    Path((thread_id, checkpoint_id)): Path<(String, String)>,
    query: Query,
) -> ApiResult<Response> {
    let thread_id = parse_id(&thread_id, "thread")?;
    let subgraphs = query.strict_flag("subgraphs")?.unwrap_or_default();
    let checkpoint = CheckpointConfig { checkpoint_id: Some(checkpoint_id), ..CheckpointConfig::default() };
    answer(&app, &caller, thread_id, &checkpoint, subgraphs).await
}

/// The checkpoint whose state to read.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct ThreadStateCheckpointRequest {
    #[schema(value_type = CheckpointConfig)]
    checkpoint: Object<CheckpointConfig>,
    #[serde(default)]
    subgraphs: Option<bool>,
}

/// Get Thread State at Checkpoint
#[utoipa::path(
    post, path = "/threads/{thread_id}/state/checkpoint", tag = "Threads", operation_id = "post_thread_state_at_checkpoint",
    params(("thread_id" = Uuid, Path, description = "The thread")),
    request_body = ThreadStateCheckpointRequest,
    responses(
        (status = 200, description = "The state; empty for an unknown checkpoint", body = ThreadStateBody),
        (status = 404, description = "No such thread", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn post_state_at(
    State(app): State<App>,
    caller: Caller,
    ThreadPath(thread_id): ThreadPath,
    SmallBody(body): SmallBody<ThreadStateCheckpointRequest>,
) -> ApiResult<Response> {
    answer(&app, &caller, thread_id, &body.checkpoint.0, body.subgraphs.unwrap_or_default()).await
}

async fn answer(
    app: &App,
    caller: &Caller,
    thread_id: ThreadId,
    checkpoint: &CheckpointConfig,
    subgraphs: bool,
) -> ApiResult<Response> {
    let scope = caller.may(Resource::Threads, Action::Read, || json!({"thread_id": thread_id})).await?.scope;
    let thread = app.storage.thread(&scope, thread_id).await?.ok_or_else(|| not_found(thread_id))?;
    Ok(json_response(state_at(app, (&scope, &caller.identity), &thread, checkpoint, subgraphs).await?))
}
