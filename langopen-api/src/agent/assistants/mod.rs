//! Assistants: graphs with a configuration, in versions.

mod count;
mod create;
mod delete;
mod get;
mod graph;
mod latest;
mod schemas;
mod search;
mod subgraphs;
mod system;
mod update;
mod versions;

use langopen_core::auth::{Action, Resource};
use langopen_core::model::Assistant;
use langopen_core::{AssistantId, JsonMap, RawJson, Scope};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::agent::App;
use crate::agent::error::{ApiError, ApiResult};
use crate::agent::show_user;
use crate::http::access::Caller;

pub(crate) use system::sync_all as sync_system_assistants;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create::create_assistant))
        .routes(routes!(search::search_assistants))
        .routes(routes!(count::count_assistants))
        .routes(routes!(get::get_assistant, update::update_assistant, delete::delete_assistant))
        .routes(routes!(graph::get_graph))
        .routes(routes!(subgraphs::get_subgraphs))
        .routes(routes!(subgraphs::get_subgraphs_at))
        .routes(routes!(schemas::get_schemas))
        .routes(routes!(versions::list_versions))
        .routes(routes!(latest::set_latest))
}

/// Reads an assistant if the caller may read it.
pub(crate) async fn read(app: &App, caller: &Caller, id: AssistantId) -> ApiResult<(Scope, Assistant)> {
    let value = || json!({"assistant_id": id, "metadata": {}});
    let scope = caller.may(Resource::Assistants, Action::Read, value).await?.scope;
    let assistant = app.storage.assistant(&scope, id).await?;
    let graphs = graph_ids(app).await?;
    // The storage still has an assistant whose graph no longer exists, but the API hides it.
    let assistant = assistant.filter(|assistant| graphs.contains(&assistant.graph_id));
    Ok((scope, assistant.ok_or_else(|| ApiError::not_found("Not Found"))?))
}

/// Whether this is the system assistant of a graph, which the server creates. The id proves it; metadata could be
/// forged.
pub(crate) fn is_system(assistant: &Assistant) -> bool {
    assistant.assistant_id == AssistantId::system(&assistant.graph_id)
}

/// The ids of the executor's graphs, sorted.
pub(crate) async fn graph_ids(app: &App) -> ApiResult<Vec<String>> {
    let mut graphs: Vec<_> = app.executor.graphs().await?.into_iter().map(|graph| graph.graph_id).collect();
    graphs.sort();
    Ok(graphs)
}

/// The assistant's config with the caller's identity, for calls that ask the executor about its graph.
pub(crate) fn graph_config(assistant: &Assistant, caller: &Caller) -> ApiResult<RawJson> {
    if caller.identity.user.is_none() {
        return Ok(RawJson::of(&assistant.config)?);
    }
    let mut config = assistant.config.clone();
    let mut configurable = match config.get_mut("configurable").map(Value::take) {
        Some(Value::Object(configurable)) => configurable,
        _ => JsonMap::new(),
    };
    show_user(&caller.identity, &mut configurable);
    config.insert("configurable".to_owned(), Value::Object(configurable));
    Ok(RawJson::of(&config)?)
}

/// Checks that the executor has this graph.
///
/// # Errors
/// 404 with the ids of the graphs.
async fn check_graph(app: &App, graph_id: &str) -> ApiResult<()> {
    let graphs = graph_ids(app).await?;
    if graphs.iter().any(|held| held == graph_id) {
        return Ok(());
    }
    let graphs: Vec<_> = graphs.iter().map(|graph| format!("'{graph}'")).collect();
    Err(ApiError::not_found(format!("Graph '{graph_id}' not found. Expected one of: [{}]", graphs.join(", "))))
}
