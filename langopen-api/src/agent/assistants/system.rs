//! The system assistants: one for each graph, which the server creates.

use langopen_core::executor::GraphInfo;
use langopen_core::model::{AssistantPatch, NewAssistant};
use langopen_core::{AssistantId, JsonMap, Result, Scope, Tenant};

use crate::agent::app::AppState;

/// Ensures that every graph of the executor has its system assistant.
pub(crate) async fn sync_all(app: &AppState, tenant: &Tenant) -> Result<()> {
    for graph in app.executor.graphs().await? {
        sync(app, tenant, graph).await?;
    }
    Ok(())
}

/// Recreates the system assistant with this id if a graph has it. Any other id has no effect.
pub(super) async fn restore(app: &AppState, tenant: &Tenant, id: AssistantId) -> Result<()> {
    let graphs = app.executor.graphs().await?;
    match graphs.into_iter().find(|graph| AssistantId::system(&graph.graph_id) == id) {
        Some(graph) => sync(app, tenant, graph).await,
        None => Ok(()),
    }
}

async fn sync(app: &AppState, tenant: &Tenant, graph: GraphInfo) -> Result<()> {
    let scope = Scope::tenant(tenant.clone());
    let GraphInfo { graph_id, name, description, config } = graph;
    let config = config.unwrap_or_default();
    // The `configurable` of a stored config is also the assistant's context, as for every assistant.
    let context = config.get("configurable").and_then(|given| given.as_object()).cloned().unwrap_or_default();
    let mut metadata = JsonMap::new();
    metadata.insert("created_by".to_owned(), "system".into());
    let new = NewAssistant {
        assistant_id: AssistantId::system(&graph_id),
        graph_id,
        config,
        context,
        metadata,
        name,
        description,
    };
    let wanted = new.clone();
    let synced = app.storage.sync_system_assistant(&scope, new).await?;
    // If the application's config has changed, the assistant gets a new version. If the application has none, the
    // config that a client set stays.
    if !wanted.config.is_empty() && synced.config != wanted.config {
        let patch = AssistantPatch::default().with_config(Some(wanted.config)).with_context(Some(wanted.context));
        app.storage.update_assistant(&scope, wanted.assistant_id, patch).await?;
    }
    Ok(())
}
