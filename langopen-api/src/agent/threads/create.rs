use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use langopen_core::auth::{Action, Resource};
use langopen_core::model::{IfExists, NewThread};
use langopen_core::run_plan::without_reserved_metadata;
use langopen_core::{ErrorKind, JsonMap, RawJson, ThreadId};
use serde::{Deserialize, Deserializer, de};
use serde_json::json;
use utoipa::ToSchema;

use super::ttl::{self, Ttl};
use crate::agent::App;
use crate::agent::error::{ApiError, ApiResult, ErrorResponse, OnKind};
use crate::agent::state::apply_supersteps;
use crate::agent::wire::{Command, ThreadBody, Updates};
use crate::http::access::Caller;
use crate::http::extract::field::{self, Object};
use crate::http::extract::{Body, parse_id};

/// A new thread.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct ThreadCreate {
    /// The thread's id. If absent, the server generates one.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    thread_id: Option<String>,
    #[serde(default, deserialize_with = "field::map")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<JsonMap>,
    #[serde(default)]
    #[schema(inline, default = "raise")]
    if_exists: Option<IfExists>,
    /// The thread's time to live. If absent, the server's default applies.
    #[serde(default, deserialize_with = "ttl::ttl")]
    #[schema(inline)]
    ttl: Option<Ttl>,
    /// Updates of the initial state; they need `metadata.graph_id`.
    #[serde(default, deserialize_with = "supersteps")]
    #[schema(value_type = Option<Vec<Superstep>>)]
    supersteps: Option<RawJson>,
}

/// Updates that belong to one superstep.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ThreadSuperstep)]
#[expect(dead_code, reason = "checked, then carried as it came")]
struct Superstep {
    #[schema(value_type = Vec<ThreadSuperstepUpdate>)]
    updates: Vec<Object<ThreadSuperstepUpdate>>,
}

/// An update of the state, as if a node had written it.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "checked, then carried as it came")]
struct ThreadSuperstepUpdate {
    #[serde(default)]
    #[schema(value_type = Option<Updates>, inline)]
    values: Option<RawJson>,
    #[serde(default)]
    command: Option<Command>,
    as_node: String,
}

fn supersteps<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RawJson>, D::Error> {
    let Some(raw) = Option::<RawJson>::deserialize(deserializer)? else { return Ok(None) };
    let steps: Vec<Object<Superstep>> = raw.decode().map_err(de::Error::custom)?;
    Ok((!steps.is_empty()).then_some(raw))
}

/// Create Thread
#[utoipa::path(
    post, path = "/threads", tag = "Threads", operation_id = "create_thread",
    request_body = ThreadCreate,
    responses(
        (status = 200, description = "The thread", body = ThreadBody),
        (status = 201, description = "The thread, but its supersteps failed", body = ErrorResponse),
        (status = 409, description = "The id is taken", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn create_thread(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<ThreadCreate>,
) -> ApiResult<Response> {
    let thread_id = match &body.thread_id {
        Some(id) => parse_id(id, "thread")?,
        None => ThreadId(app.ids.ordered()),
    };
    let default = app.settings.thread_ttl;
    let ttl = body.ttl.map(|ttl| ttl.check(default)).transpose()?.or(default);
    let metadata = without_reserved_metadata(body.metadata.unwrap_or_default());
    let if_exists = body.if_exists.unwrap_or_default();
    let value = || json!({"thread_id": thread_id, "metadata": metadata, "if_exists": if_exists});
    let mut permit = caller.may(Resource::Threads, Action::Create, value).await?;
    let metadata = without_reserved_metadata(permit.object("metadata", metadata));
    let new = NewThread { thread_id, metadata, ttl };
    let thread =
        app.storage.create_thread(&permit.scope, new, if_exists).await.on(ErrorKind::AlreadyExists, || {
            ApiError::conflict(format!("Thread with ID {thread_id} already exists"))
        })?;
    let Some(supersteps) = body.supersteps else { return Ok(Json(ThreadBody::from(thread)).into_response()) };
    match apply_supersteps(&app, (&permit.scope, &caller.identity), &thread, supersteps).await {
        Ok(thread) => Ok(Json(ThreadBody::from(thread)).into_response()),
        Err(error) => {
            let detail = format!(
                "Thread {thread_id} was created, but there were problems updating the state: {}",
                error.message()
            );
            Ok((StatusCode::CREATED, Json(ErrorResponse { detail })).into_response())
        }
    }
}
