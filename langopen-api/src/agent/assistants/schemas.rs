use axum::extract::State;
use axum::response::Response;
use langopen_core::executor::SchemasRequest;
use serde::Serialize;
use utoipa::ToSchema;

use super::{graph_config, read};
use crate::agent::App;
use crate::agent::AssistantPath;
use crate::agent::error::{ApiResult, ErrorResponse};
use crate::agent::wire::{concat_objects, json};
use crate::http::access::Caller;

/// JSON schemas of an assistant's graph. A schema that the graph does not have is `null`.
#[derive(Serialize, ToSchema)]
pub(super) struct GraphSchema {
    graph_id: String,
    #[schema(value_type = Option<Object>)]
    input_schema: (),
    #[schema(value_type = Option<Object>)]
    output_schema: (),
    #[schema(value_type = Option<Object>, required)]
    state_schema: (),
    #[schema(value_type = Option<Object>)]
    config_schema: (),
    #[schema(value_type = Option<Object>)]
    context_schema: (),
}

/// Get Assistant Schemas
#[utoipa::path(
    get, path = "/assistants/{assistant_id}/schemas", tag = "Assistants", operation_id = "get_assistant_schemas",
    params(("assistant_id" = Uuid, Path, description = "The assistant")),
    responses(
        (status = 200, description = "The schemas", body = GraphSchema),
        (status = 404, description = "No such assistant", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn get_schemas(
    State(app): State<App>,
    caller: Caller,
    AssistantPath(id): AssistantPath,
) -> ApiResult<Response> {
    let (scope, assistant) = read(&app, &caller, id).await?;
    let config = graph_config(&assistant, &caller)?;
    let named = serde_json::to_string(&assistant.graph_id)?;
    let request = SchemasRequest::new(assistant.graph_id, config);
    let schemas = app.executor.schemas(app.execution_context(&scope), request).await?;
    Ok(json(concat_objects(&["\"graph_id\":", &named], &serde_json::to_string(&schemas)?)))
}
