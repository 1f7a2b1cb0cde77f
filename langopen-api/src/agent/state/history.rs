use axum::extract::State;
use axum::response::Response;
use langopen_core::auth::{Action, Identity, Resource};
use langopen_core::executor::HistoryRequest;
use langopen_core::model::Thread;
use langopen_core::{JsonMap, RawJson, Scope, ThreadId};
use serde::{Deserialize, Deserializer, de};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::answer::{bare_config, config};
use crate::agent::App;
use crate::agent::ThreadPath;
use crate::agent::error::{ApiError, ApiResult, ErrorResponse};
use crate::agent::thread::{graph_id, not_found};
use crate::agent::wire::{CheckpointConfig, ThreadStateBody, json as json_response};
use crate::http::access::Caller;
use crate::http::extract::field::{self, MAX_LIMIT, Object, shorten};
use crate::http::extract::{Query, SmallBody};

/// The filter and the page of the history, newest state first.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(super) struct ThreadStateSearch {
    #[serde(default, deserialize_with = "field::limit")]
    #[schema(minimum = 1, maximum = 1000, default = 1)]
    limit: Option<u32>,
    /// Only states before this checkpoint: its id, its config, or a runnable config that contains it.
    #[serde(default, deserialize_with = "before")]
    before: Option<CheckpointConfig>,
    /// The state's metadata must contain these entries.
    #[serde(default, deserialize_with = "field::map")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<JsonMap>,
    /// A checkpoint whose `checkpoint_ns` selects a subgraph.
    #[serde(default, deserialize_with = "field::object")]
    checkpoint: Option<CheckpointConfig>,
}

fn before<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<CheckpointConfig>, D::Error> {
    #[derive(Deserialize)]
    struct Runnable {
        configurable: Object<CheckpointConfig>,
    }
    let Some(raw) = Option::<RawJson>::deserialize(deserializer)? else { return Ok(None) };
    if raw.as_str().starts_with('"') {
        let id: String = raw.decode().map_err(de::Error::custom)?;
        return at(id).map(Some).map_err(de::Error::custom);
    }
    if let Ok(Object(Runnable { configurable: Object(configurable) })) = raw.decode() {
        return Ok(Some(configurable));
    }
    raw.decode().map(|Object(config)| Some(config)).map_err(de::Error::custom)
}

/// The checkpoint with this id.
fn at(id: String) -> Result<CheckpointConfig, String> {
    match id.parse::<Uuid>() {
        Ok(_) => Ok(CheckpointConfig { checkpoint_id: Some(id), ..CheckpointConfig::default() }),
        Err(_) => Err(format!("{} is not a checkpoint ID", shorten(&id))),
    }
}

// This struct only documents the query; the handler reads it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its schema is used")]
struct HistoryQuery {
    /// The maximum number of states.
    #[param(minimum = 1, maximum = 1000, default = 1)]
    limit: Option<u32>,
    /// Only states before this checkpoint.
    before: Option<String>,
}

/// Get Thread History
#[utoipa::path(
    get, path = "/threads/{thread_id}/history", tag = "Threads", operation_id = "get_thread_history",
    params(
        ("thread_id" = Uuid, Path, description = "The thread"),
        HistoryQuery,
    ),
    responses(
        (status = 200, description = "The states, newest first", body = Vec<ThreadStateBody>),
        (status = 404, description = "No such thread", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn get_history(
    State(app): State<App>,
    caller: Caller,
    ThreadPath(thread_id): ThreadPath,
    query: Query,
) -> ApiResult<Response> {
    let before = query.last("before").map(|id| at(id.to_owned())).transpose();
    let before = before.map_err(|why| ApiError::invalid(format!("before: {why}")))?;
    let limit = query.number("limit", 1, 1, MAX_LIMIT)?;
    let search = ThreadStateSearch { limit: Some(limit), before, ..ThreadStateSearch::default() };
    answer(&app, &caller, thread_id, search).await
}

/// Get Thread History
#[utoipa::path(
    post, path = "/threads/{thread_id}/history", tag = "Threads", operation_id = "post_thread_history",
    params(("thread_id" = Uuid, Path, description = "The thread")),
    request_body = ThreadStateSearch,
    responses(
        (status = 200, description = "The states, newest first", body = Vec<ThreadStateBody>),
        (status = 404, description = "No such thread", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn post_history(
    State(app): State<App>,
    caller: Caller,
    ThreadPath(thread_id): ThreadPath,
    SmallBody(search): SmallBody<ThreadStateSearch>,
) -> ApiResult<Response> {
    answer(&app, &caller, thread_id, search).await
}

async fn answer(app: &App, caller: &Caller, thread_id: ThreadId, search: ThreadStateSearch) -> ApiResult<Response> {
    let scope = caller.may(Resource::Threads, Action::Read, || json!({"thread_id": thread_id})).await?.scope;
    let thread = app.storage.thread(&scope, thread_id).await?.ok_or_else(|| not_found(thread_id))?;
    let states = history(app, (&scope, &caller.identity), &thread, search).await?;
    Ok(json_response(serde_json::to_string(&states)?))
}

/// The states that match `search`, from the graph's host.
async fn history(
    app: &App,
    (scope, identity): (&Scope, &Identity),
    thread: &Thread,
    search: ThreadStateSearch,
) -> ApiResult<Vec<RawJson>> {
    let Some(graph_id) = graph_id(thread) else { return Ok(Vec::new()) };
    let metadata = search.metadata.filter(|metadata| !metadata.is_empty());
    let config = config(thread, &search.checkpoint.unwrap_or_default(), identity)?;
    let request = HistoryRequest::new(graph_id, config, search.limit.unwrap_or(1))
        .with_before(search.before.map(|before| bare_config(thread, &before)))
        .with_metadata(metadata.map(|metadata| RawJson::of(&metadata)).transpose()?);
    Ok(app.executor.state_history(app.execution_context(scope), request).await?)
}

/// The latest states below `checkpoint`: at most `limit`, and only those before `before` if given.
pub(crate) async fn states_before(
    app: &App,
    caller: (&Scope, &Identity),
    thread: &Thread,
    checkpoint: CheckpointConfig,
    (limit, before): (u32, Option<CheckpointConfig>),
) -> ApiResult<Vec<RawJson>> {
    let search = ThreadStateSearch { limit: Some(limit), before, checkpoint: Some(checkpoint), metadata: None };
    history(app, caller, thread, search).await
}
