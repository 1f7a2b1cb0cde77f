use axum::Json;
use axum::extract::State;
use langopen_core::auth::{Action, Resource};
use serde_json::json;

use crate::agent::App;
use crate::agent::ThreadPath;
use crate::agent::error::{ApiResult, ErrorResponse};
use crate::agent::thread::not_found;
use crate::agent::wire::{ThreadBody, TtlBody};
use crate::http::access::Caller;
use crate::http::extract::Query;

/// Get Thread
#[utoipa::path(
    get, path = "/threads/{thread_id}", tag = "Threads", operation_id = "get_thread",
    params(
        ("thread_id" = Uuid, Path, description = "The thread"),
        ("include" = Option<String>, Query, description = "`ttl` adds the thread's time to live"),
    ),
    responses(
        (status = 200, description = "The thread", body = ThreadBody),
        (status = 404, description = "No such thread", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn get_thread(
    State(app): State<App>,
    caller: Caller,
    ThreadPath(thread_id): ThreadPath,
    query: Query,
) -> ApiResult<Json<ThreadBody>> {
    let scope = caller.may(Resource::Threads, Action::Read, || json!({"thread_id": thread_id})).await?.scope;
    let thread = app.storage.thread(&scope, thread_id).await?;
    let thread = thread.ok_or_else(|| not_found(thread_id))?;
    let includes_ttl = query.list("include").iter().any(|name| name == "ttl");
    let ttl = if includes_ttl { TtlBody::of(&thread) } else { None };
    let mut body = ThreadBody::from(thread);
    body.ttl = ttl;
    Ok(Json(body))
}
