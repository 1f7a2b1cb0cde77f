//! The state of threads, and its history.

mod answer;
mod checkpoint;
mod get;
mod history;
mod update;

use langopen_core::auth::Identity;
use langopen_core::executor::{BulkUpdateRequest, END, UpdateAnswer, UpdateRequest};
use langopen_core::model::Thread;
use langopen_core::{RawJson, Scope};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::agent::App;
use crate::agent::error::{ApiError, ApiResult};
use crate::agent::thread::graph_id;
use crate::agent::wire::CheckpointConfig;

pub(crate) use answer::state_at;
pub(crate) use history::states_before;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(get::get_state, update::update_state))
        .routes(routes!(checkpoint::get_state_at))
        .routes(routes!(checkpoint::post_state_at))
        .routes(routes!(history::get_history, history::post_history))
}

/// Applies the supersteps of a thread's creation, and returns the resulting thread.
pub(crate) async fn apply_supersteps(
    app: &App,
    (scope, identity): (&Scope, &Identity),
    thread: &Thread,
    supersteps: RawJson,
) -> ApiResult<Thread> {
    let graph_id = graph_id(thread).ok_or_else(|| no_graph(thread))?.to_owned();
    let config = answer::config(thread, &Default::default(), identity)?;
    let request = BulkUpdateRequest::new(graph_id, config, supersteps);
    let updated = app.executor.bulk_update_state(app.execution_context(scope), request).await?;
    Ok(answer::store(app, scope, thread, &updated.state, updated.thread).await?.unwrap_or_else(|| thread.clone()))
}

/// Updates a thread's state at a checkpoint with these values, as if the node `as_node` had written them.
/// Returns the new checkpoint.
async fn apply_update(
    app: &App,
    (scope, identity): (&Scope, &Identity),
    thread: &Thread,
    checkpoint: &CheckpointConfig,
    (values, as_node): (RawJson, Option<String>),
) -> ApiResult<RawJson> {
    let graph_id = graph_id(thread).ok_or_else(|| no_graph(thread))?.to_owned();
    let config = answer::config(thread, checkpoint, identity)?;
    let request = UpdateRequest::new(graph_id, config, values).with_as_node(as_node);
    let UpdateAnswer { checkpoint, state, thread: summary, .. } =
        app.executor.update_state(app.execution_context(scope), request).await?;
    answer::store(app, scope, thread, &state, summary).await?;
    answer::publish(app, thread, &state).await;
    Ok(checkpoint)
}

/// Clears the open tasks of a thread's graph. Its values stay, but it has no next node and no open interrupt.
pub(crate) async fn clear_tasks(app: &App, who: (&Scope, &Identity), thread: &Thread) -> ApiResult<()> {
    let end = (RawJson::default(), Some(END.to_owned()));
    apply_update(app, who, thread, &CheckpointConfig::default(), end).await.map(drop)
}

fn no_graph(thread: &Thread) -> ApiError {
    ApiError::bad_request(format!(
        "Thread '{}' has no assigned graph ID. This usually occurs when no runs have been made on this particular thread. This \
         operation requires a graph ID. Please ensure a run has been made for the thread or manually update the thread metadata \
         (by setting the 'graph_id' field) before running this operation.",
        thread.thread_id
    ))
}
