use axum::Json;
use axum::extract::State;
use langopen_core::auth::{Action, Resource};
use langopen_core::model::AssistantPatch as Patch;
use langopen_core::run_plan::mirror;
use langopen_core::{ErrorKind, JsonMap};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::check_graph;
use crate::agent::App;
use crate::agent::AssistantPath;
use crate::agent::error::{ApiError, ApiResult, ErrorResponse, OnKind};
use crate::agent::run_body::both_given;
use crate::agent::wire::{AssistantBody, Config};
use crate::http::access::Caller;
use crate::http::extract::{Body, field};

/// A change to an assistant.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(super) struct AssistantPatch {
    graph_id: Option<String>,
    /// Replaces the config. If it has a `configurable`, that also replaces the context. An empty config changes
    /// nothing.
    #[serde(default, deserialize_with = "crate::agent::wire::config")]
    #[schema(value_type = Option<Config>)]
    config: Option<JsonMap>,
    /// Replaces the context and `config.configurable`.
    #[serde(default, deserialize_with = "field::map")]
    #[schema(value_type = Option<Object>)]
    context: Option<JsonMap>,
    /// Merges these entries into the metadata, key by key.
    #[serde(default, deserialize_with = "field::map")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<JsonMap>,
    name: Option<String>,
    description: Option<String>,
}

/// Patch Assistant
///
/// Creates a new version and activates it.
#[utoipa::path(
    patch, path = "/assistants/{assistant_id}", tag = "Assistants", operation_id = "patch_assistant",
    params(("assistant_id" = Uuid, Path, description = "The assistant")),
    request_body = AssistantPatch,
    responses(
        (status = 200, description = "The assistant in its new version", body = AssistantBody),
        (status = 400, description = "Both context and configurable are given", body = ErrorResponse),
        (status = 404, description = "No such assistant or graph", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn update_assistant(
    State(app): State<App>,
    caller: Caller,
    AssistantPath(id): AssistantPath,
    Body(body): Body<AssistantPatch>,
) -> ApiResult<Json<AssistantBody>> {
    if let Some(graph_id) = &body.graph_id {
        check_graph(&app, graph_id).await?;
    }
    let value = || {
        json!({
            "assistant_id": id, "graph_id": body.graph_id, "config": body.config.clone().unwrap_or_default(),
            "context": body.context.clone().unwrap_or_default(),
            "metadata": body.metadata.clone().unwrap_or_default(), "name": body.name, "version": null,
        })
    };
    let mut permit = caller.may(Resource::Assistants, Action::Update, value).await?;
    let not_found = || ApiError::not_found(format!("Assistant {id} not found"));
    let (config, context) = match (body.config.filter(|config| !config.is_empty()), body.context) {
        (None, None) => (None, None),
        (Some(mut config), context) => {
            let given = context.is_some();
            let context = mirror(&mut config, context).map_err(both_given)?;
            let context = (given || !context.is_empty()).then_some(context);
            (Some(config), context)
        }
        (None, Some(context)) => {
            let held = app.storage.assistant(&permit.scope, id).await?.ok_or_else(not_found)?;
            let mut config = held.config;
            config.insert("configurable".to_owned(), Value::Object(JsonMap::new()));
            let context = mirror(&mut config, Some(context)).map_err(both_given)?;
            (Some(config), Some(context))
        }
    };
    let metadata = match body.metadata {
        Some(metadata) => Some(permit.object("metadata", metadata)),
        None => Some(permit.object("metadata", JsonMap::new())).filter(|metadata| !metadata.is_empty()),
    };
    let patch = Patch::default()
        .with_graph_id(body.graph_id)
        .with_config(config)
        .with_context(context)
        .with_metadata(metadata)
        .with_name(body.name)
        .with_description(body.description);
    let assistant = app.storage.update_assistant(&permit.scope, id, patch).await.on(ErrorKind::NotFound, not_found)?;
    Ok(Json(assistant.into()))
}
