use axum::extract::State;
use axum::response::Response;
use langopen_core::auth::{Action, Resource};
use langopen_core::model::ThreadState;
use serde::Deserialize;
use serde_json::json;

use super::answer::newest_state;
use crate::agent::App;
use crate::agent::ThreadPath;
use crate::agent::error::{ApiResult, ErrorResponse};
use crate::agent::thread::not_found;
use crate::agent::wire::{ThreadStateBody, concat_objects, json as json_response};
use crate::http::access::Caller;
use crate::http::extract::Query;

/// Get Thread State
#[utoipa::path(
    get, path = "/threads/{thread_id}/state", tag = "Threads", operation_id = "get_thread_state",
    params(
        ("thread_id" = Uuid, Path, description = "The thread"),
        ("subgraphs" = Option<bool>, Query, description = "Whether tasks show the states of their subgraphs"),
    ),
    responses(
        (status = 200, description = "The state", body = ThreadStateBody),
        (status = 404, description = "No such thread", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn get_state(
    State(app): State<App>,
    caller: Caller,
    ThreadPath(thread_id): ThreadPath,
    query: Query,
) -> ApiResult<Response> {
    let subgraphs = query.strict_flag("subgraphs")?.unwrap_or_default();
    let scope = caller.may(Resource::Threads, Action::Read, || json!({"thread_id": thread_id})).await?.scope;
    if let Some(state) = app.storage.latest_state(&scope, thread_id).await?
        && (!subgraphs || !has_tasks(&state))
    {
        let values = ["\"values\":", state.values.as_str()];
        return Ok(json_response(concat_objects(&values, state.rest.as_str())));
    }
    let thread = app.storage.thread(&scope, thread_id).await?.ok_or_else(|| not_found(thread_id))?;
    Ok(json_response(newest_state(&app, (&scope, &caller.identity), &thread, subgraphs).await?))
}

/// Whether the state may have subgraphs. Only open tasks have subgraphs.
fn has_tasks(state: &ThreadState) -> bool {
    #[derive(Deserialize)]
    struct Rest {
        #[serde(default)]
        tasks: Vec<serde::de::IgnoredAny>,
    }
    state.rest.decode::<Rest>().is_ok_and(|rest| !rest.tasks.is_empty())
}
