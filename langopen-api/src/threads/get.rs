use axum::Json;
use axum::extract::State;
use langopen_core::auth::{Action, Resource};
use serde_json::json;

use super::not_found;
use crate::access::Caller;
use crate::error::{ApiResult, ErrorResponse};
use crate::extract::ThreadPath;
use crate::server::App;
use crate::wire::ThreadBody;

/// Get Thread
#[utoipa::path(
    get, path = "/threads/{thread_id}", tag = "Threads", operation_id = "get_thread",
    params(
        ("thread_id" = Uuid, Path, description = "The thread"),
        ("include" = Option<String>, Query, description = "`ttl`: threads do not expire here, so nothing is added"),
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
) -> ApiResult<Json<ThreadBody>> {
    let scope = caller.may(Resource::Threads, Action::Read, || json!({"thread_id": thread_id})).await?.scope;
    let thread = app.storage.thread(&scope, thread_id).await?;
    thread.map(|thread| Json(thread.into())).ok_or_else(|| not_found(thread_id))
}
