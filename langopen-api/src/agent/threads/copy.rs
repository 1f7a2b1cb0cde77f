use axum::Json;
use axum::extract::State;
use langopen_core::auth::{Action, Resource};
use langopen_core::model::ThreadPatch;
use langopen_core::run_plan::without_reserved_metadata;
use langopen_core::{ErrorKind, JsonMap, Scope, ThreadId};
use serde_json::json;

use crate::agent::App;
use crate::agent::ThreadPath;
use crate::agent::error::{ApiError, ApiResult, ErrorResponse, OnKind};
use crate::agent::wire::ThreadBody;
use crate::http::access::Caller;

/// Copy Thread
///
/// Creates a new thread with the same metadata and checkpoints.
#[utoipa::path(
    post, path = "/threads/{thread_id}/copy", tag = "Threads", operation_id = "copy_thread",
    params(("thread_id" = Uuid, Path, description = "The thread")),
    responses(
        (status = 200, description = "The new thread", body = ThreadBody),
        (status = 409, description = "No such thread", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn copy_thread(
    State(app): State<App>,
    caller: Caller,
    ThreadPath(thread_id): ThreadPath,
) -> ApiResult<Json<ThreadBody>> {
    let new = ThreadId(app.ids.random());
    let scope = caller.may(Resource::Threads, Action::Read, || json!({"thread_id": thread_id})).await?.scope;
    let value = || json!({"thread_id": new, "metadata": {}, "if_exists": "raise"});
    let mut permit = caller.may(Resource::Threads, Action::Create, value).await?;
    let stamp = without_reserved_metadata(permit.object("metadata", JsonMap::new()));
    let thread = app.storage.copy_thread(&scope, thread_id, new).await;
    let mut thread = thread.on(ErrorKind::NotFound, || ApiError::conflict("Conflict"))?;
    if !stamp.is_empty() {
        let patch = ThreadPatch::default().with_metadata(stamp);
        thread = app.storage.update_thread(&Scope::tenant(scope.tenant), new, patch).await?;
    }
    Ok(Json(ThreadBody::from(thread).without_values()))
}
