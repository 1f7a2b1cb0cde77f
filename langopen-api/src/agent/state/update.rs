use axum::Json;
use axum::extract::State;
use langopen_core::auth::{Action, Resource};
use langopen_core::model::ThreadStatus;
use langopen_core::{JsonMap, RawJson};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::answer::in_flight;
use crate::agent::App;
use crate::agent::ThreadPath;
use crate::agent::error::{ApiResult, ErrorResponse};
use crate::agent::thread::not_found;
use crate::agent::wire::{CheckpointConfig, Updates};
use crate::http::access::Caller;
use crate::http::extract::Body;
use crate::http::extract::field;
use crate::http::extract::field::shorten;

/// An update of a state, as if a node had written it.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(super) struct ThreadStateUpdate {
    #[serde(default, deserialize_with = "values")]
    #[schema(value_type = Option<Updates>, inline)]
    values: Option<RawJson>,
    #[serde(default, deserialize_with = "field::object")]
    checkpoint: Option<CheckpointConfig>,
    checkpoint_id: Option<String>,
    as_node: Option<String>,
}

fn values<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RawJson>, D::Error> {
    let Some(raw) = Option::<RawJson>::deserialize(deserializer)? else { return Ok(None) };
    if raw.as_str().starts_with(['{', '[']) {
        return Ok(Some(raw));
    }
    Err(de::Error::custom(format_args!("expected an object, an array or null, got {}", shorten(&raw.as_str()))))
}

/// The new checkpoint.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ThreadStateUpdateResponse {
    #[schema(value_type = Object)]
    checkpoint: JsonMap,
    #[schema(value_type = Object)]
    configurable: JsonMap,
    #[schema(value_type = Option<String>)]
    checkpoint_id: Value,
}

/// Update Thread State
#[utoipa::path(
    post, path = "/threads/{thread_id}/state", tag = "Threads", operation_id = "update_thread_state",
    params(("thread_id" = Uuid, Path, description = "The thread")),
    request_body = ThreadStateUpdate,
    responses(
        (status = 200, description = "The new checkpoint", body = ThreadStateUpdateResponse),
        (status = 400, description = "The graph refuses the update", body = ErrorResponse),
        (status = 404, description = "No such thread", body = ErrorResponse),
        (status = 409, description = "A run is in flight", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn update_state(
    State(app): State<App>,
    caller: Caller,
    ThreadPath(thread_id): ThreadPath,
    Body(body): Body<ThreadStateUpdate>,
) -> ApiResult<Json<ThreadStateUpdateResponse>> {
    let value = || json!({"thread_id": thread_id, "metadata": {}, "action": null});
    let scope = caller.may(Resource::Threads, Action::Update, value).await?.scope;
    let thread = app.storage.thread(&scope, thread_id).await?.ok_or_else(|| not_found(thread_id))?;
    if thread.status == ThreadStatus::Busy {
        return Err(in_flight(&thread));
    }
    let mut checkpoint = body.checkpoint.unwrap_or_default();
    checkpoint.checkpoint_id = checkpoint.checkpoint_id.or(body.checkpoint_id);
    let update = (body.values.unwrap_or_default(), body.as_node);
    let checkpoint = super::apply_update(&app, (&scope, &caller.identity), &thread, &checkpoint, update).await?;

    let mut given: JsonMap = checkpoint.decode()?;
    let mut checkpoint = JsonMap::new();
    for key in ["thread_id", "checkpoint_ns", "checkpoint_id", "checkpoint_map"] {
        if let Some(value) = given.remove(key) {
            checkpoint.insert(key.to_owned(), value);
        }
    }
    let checkpoint_id = checkpoint.get("checkpoint_id").cloned().unwrap_or_default();
    Ok(Json(ThreadStateUpdateResponse { configurable: checkpoint.clone(), checkpoint, checkpoint_id }))
}
