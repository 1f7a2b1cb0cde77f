use axum::extract::{Path, State};
use axum::response::Response;
use langopen_core::AssistantId;
use langopen_core::executor::{DrawRequest, Xray};

use super::{graph_config, graph_ids, read};
use crate::agent::App;
use crate::agent::error::{ApiError, ApiResult, ErrorResponse};
use crate::agent::wire::json;
use crate::http::access::Caller;
use crate::http::extract::Query;
use utoipa::{IntoParams, ToSchema};

// This struct only documents the query; the handler reads it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its schema is used")]
struct GraphQuery {
    /// Whether to include subgraphs, or how many levels of them.
    #[param(inline)]
    xray: Option<XrayParameter>,
}

// This type only documents the parameter; see `xray`.
/// Whether to include subgraphs, or how many levels of them.
#[derive(serde::Deserialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum XrayParameter {
    Whether(bool),
    Depth(u32),
}

/// Get Assistant Graph
///
/// Returns the nodes and edges of an assistant's graph, for drawing.
#[utoipa::path(
    get, path = "/assistants/{assistant_id}/graph", tag = "Assistants", operation_id = "get_assistant_graph",
    params(
        ("assistant_id" = String, Path, description = "The assistant, or a graph's id"),
        GraphQuery,
    ),
    responses(
        (status = 200, description = "The graph", body = std::collections::HashMap<String, Vec<Object>>),
        (status = 404, description = "No such assistant", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn get_graph(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    query: Query,
) -> ApiResult<Response> {
    let xray = xray(query.last("xray"))?;
    let id: Option<AssistantId> = name.parse().ok();
    if id.is_none() && !graph_ids(&app).await?.contains(&name) {
        return Err(ApiError::invalid("Invalid assistant ID: must be a UUID"));
    }
    let (scope, assistant) = read(&app, &caller, id.unwrap_or_else(|| AssistantId::system(&name))).await?;
    let config = graph_config(&assistant, &caller)?;
    let request = DrawRequest::new(assistant.graph_id, config).with_xray(xray);
    let drawing = app.executor.draw(app.execution_context(&scope), request).await?;
    Ok(json(serde_json::to_string(&drawing)?))
}

/// Parses `false`, `true`, or a depth of at least 1.
fn xray(text: Option<&str>) -> ApiResult<Xray> {
    Ok(match text.map(str::to_ascii_lowercase).as_deref() {
        None | Some("false") => Xray::Off,
        Some("true") => Xray::All,
        Some(depth) => match depth.parse::<u32>() {
            Ok(depth @ 1..) => Xray::Levels(depth),
            _ => return Err(ApiError::invalid("Invalid xray value")),
        },
    })
}
