use axum::Json;
use axum::extract::State;
use langopen_core::auth::{Action, Resource};
use langopen_core::model::{IfExists, NewAssistant};
use langopen_core::run_plan::mirror;
use langopen_core::{AssistantId, ErrorKind, JsonMap};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::check_graph;
use crate::agent::App;
use crate::agent::error::{ApiError, ApiResult, ErrorResponse, OnKind};
use crate::agent::run_body::both_given;
use crate::agent::wire::{AssistantBody, Config};
use crate::http::access::Caller;
use crate::http::extract::{Body, field, parse_id};

/// A new assistant.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct AssistantCreate {
    /// The assistant's id. If absent, the server generates one.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    assistant_id: Option<String>,
    /// The graph that the assistant runs.
    graph_id: String,
    #[serde(default, deserialize_with = "crate::agent::wire::config")]
    #[schema(value_type = Option<Config>)]
    config: Option<JsonMap>,
    /// The run-time context. A request cannot have both `context` and `config.configurable`.
    #[serde(default, deserialize_with = "field::map")]
    #[schema(value_type = Option<Object>)]
    context: Option<JsonMap>,
    #[serde(default, deserialize_with = "field::map")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<JsonMap>,
    #[serde(default)]
    #[schema(inline, default = "raise")]
    if_exists: Option<IfExists>,
    /// The assistant's name; `Untitled` if absent.
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    description: Option<String>,
}

/// Create Assistant
#[utoipa::path(
    post, path = "/assistants", tag = "Assistants", operation_id = "create_assistant",
    request_body = AssistantCreate,
    responses(
        (status = 200, description = "The assistant", body = AssistantBody),
        (status = 400, description = "Both context and configurable are given", body = ErrorResponse),
        (status = 404, description = "No such graph", body = ErrorResponse),
        (status = 409, description = "The id is taken", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn create_assistant(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<AssistantCreate>,
) -> ApiResult<Json<AssistantBody>> {
    let assistant_id = match &body.assistant_id {
        Some(id) => parse_id(id, "assistant")?,
        None => AssistantId(app.ids.random()),
    };
    let mut config = body.config.unwrap_or_default();
    let context = mirror(&mut config, body.context).map_err(both_given)?;
    check_graph(&app, &body.graph_id).await?;
    let metadata = body.metadata.unwrap_or_default();
    let name = body.name.unwrap_or_else(|| "Untitled".to_owned());
    let if_exists = body.if_exists.unwrap_or_default();
    let value = || {
        json!({
            "assistant_id": assistant_id, "graph_id": body.graph_id, "config": config, "context": context,
            "metadata": metadata, "if_exists": if_exists, "name": name,
        })
    };
    let mut permit = caller.may(Resource::Assistants, Action::Create, value).await?;
    let metadata = permit.object("metadata", metadata);
    let config = permit.object("config", config);
    let context = permit.object("context", context);
    let name = permit.take("name", name)?;
    let new = NewAssistant {
        assistant_id,
        graph_id: body.graph_id,
        config,
        context,
        metadata,
        name,
        description: body.description,
    };
    let created = app.storage.create_assistant(&permit.scope, new, if_exists).await;
    let assistant = created
        .on(ErrorKind::AlreadyExists, || ApiError::conflict(format!("Assistant {assistant_id} already exists")))?;
    Ok(Json(assistant.into()))
}
