use axum::extract::{Path, State};
use axum::response::Response;
use langopen_core::AssistantId;
use langopen_core::executor::SubgraphsRequest;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

use super::{graph_config, read};
use crate::agent::App;
use crate::agent::AssistantPath;
use crate::agent::error::{ApiResult, ErrorResponse};
use crate::agent::wire::json;
use crate::http::access::Caller;
use crate::http::extract::{Query, parse_id};

/// The schemas of subgraphs, by namespace.
#[derive(Serialize, ToSchema)]
pub(super) struct Subgraphs(BTreeMap<String, GraphSchemaNoId>);

/// JSON schemas of a graph. A schema that the graph does not have is `null`.
#[derive(Serialize, ToSchema)]
struct GraphSchemaNoId {
    #[schema(value_type = Option<Object>, required)]
    input_schema: (),
    #[schema(value_type = Option<Object>, required)]
    output_schema: (),
    #[schema(value_type = Option<Object>, required)]
    state_schema: (),
    #[schema(value_type = Option<Object>)]
    config_schema: (),
    #[schema(value_type = Option<Object>)]
    context_schema: (),
}

// This struct only documents the query; the handler reads it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its schema is used")]
struct SubgraphsQuery {
    /// Whether to include the subgraphs of subgraphs.
    #[param(default = false)]
    recurse: Option<bool>,
}

/// Get Assistant Subgraphs
#[utoipa::path(
    get, path = "/assistants/{assistant_id}/subgraphs", tag = "Assistants", operation_id = "get_assistant_subgraphs",
    params(
        ("assistant_id" = Uuid, Path, description = "The assistant"),
        SubgraphsQuery,
    ),
    responses(
        (status = 200, description = "The subgraphs", body = Subgraphs),
        (status = 404, description = "No such assistant", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn get_subgraphs(
    State(app): State<App>,
    caller: Caller,
    AssistantPath(id): AssistantPath,
    query: Query,
) -> ApiResult<Response> {
    answer(&app, &caller, id, None, &query).await
}

/// Get Assistant Subgraphs by Namespace
#[utoipa::path(
    get, path = "/assistants/{assistant_id}/subgraphs/{namespace}", tag = "Assistants",
    operation_id = "get_assistant_subgraphs_by_namespace",
    params(
        ("assistant_id" = Uuid, Path, description = "The assistant"),
        ("namespace" = String, Path, description = "The subgraph's namespace"),
        SubgraphsQuery,
    ),
    responses(
        (status = 200, description = "The subgraphs", body = Subgraphs),
        (status = 404, description = "No such assistant", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn get_subgraphs_at(
    State(app): State<App>,
    caller: Caller,
    Path((id, namespace)): Path<(String, String)>,
    query: Query,
) -> ApiResult<Response> {
    answer(&app, &caller, parse_id(&id, "assistant")?, Some(namespace), &query).await
}

async fn answer(
    app: &App,
    caller: &Caller,
    id: AssistantId,
    namespace: Option<String>,
    query: &Query,
) -> ApiResult<Response> {
    let recurse = query.strict_flag("recurse")?.unwrap_or_default();
    let (scope, assistant) = read(app, caller, id).await?;
    let config = graph_config(&assistant, caller)?;
    let request = SubgraphsRequest::new(assistant.graph_id, config).with_namespace(namespace).with_recurse(recurse);
    let subgraphs = app.executor.subgraphs(app.execution_context(&scope), request).await?;
    Ok(json(serde_json::to_string(&subgraphs)?))
}
