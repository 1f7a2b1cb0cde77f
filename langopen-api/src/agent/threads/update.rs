use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use langopen_core::auth::{Action, Resource};
use langopen_core::model::ThreadPatch as Patch;
use langopen_core::run_plan::without_reserved_metadata;
use langopen_core::{ErrorKind, JsonMap};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::ttl::{self, Ttl};
use crate::agent::App;
use crate::agent::ThreadPath;
use crate::agent::error::{ApiError, ApiResult, ErrorResponse, OnKind};
use crate::agent::wire::ThreadBody;
use crate::http::access::Caller;
use crate::http::extract::Body;
use crate::http::extract::field;

/// An update of a thread.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(super) struct ThreadPatch {
    /// Merges these entries into the metadata, key by key.
    #[serde(default, deserialize_with = "field::map")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<JsonMap>,
    /// Replaces the thread's time to live.
    #[serde(default, deserialize_with = "ttl::ttl")]
    #[schema(inline)]
    ttl: Option<Ttl>,
}

/// Patch Thread
#[utoipa::path(
    patch, path = "/threads/{thread_id}", tag = "Threads", operation_id = "patch_thread",
    params(
        ("thread_id" = Uuid, Path, description = "The thread"),
        ("Prefer" = Option<String>, Header, description = "`return=minimal` for an answer without a body"),
    ),
    request_body = ThreadPatch,
    responses(
        (status = 200, description = "The thread", body = ThreadBody),
        (status = 204, description = "Changed"),
        (status = 404, description = "No such thread", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn update_thread(
    State(app): State<App>,
    caller: Caller,
    ThreadPath(thread_id): ThreadPath,
    headers: HeaderMap,
    Body(body): Body<ThreadPatch>,
) -> ApiResult<Response> {
    let ttl = body.ttl.map(|ttl| ttl.check(app.settings.thread_ttl)).transpose()?;
    let metadata = without_reserved_metadata(body.metadata.unwrap_or_default());
    let value = || json!({"thread_id": thread_id, "metadata": metadata});
    let mut permit = caller.may(Resource::Threads, Action::Update, value).await?;
    let patch =
        Patch::default().with_metadata(without_reserved_metadata(permit.object("metadata", metadata))).with_ttl(ttl);
    let thread = app.storage.update_thread(&permit.scope, thread_id, patch).await;
    let thread = thread.on(ErrorKind::NotFound, || ApiError::not_found("Not Found"))?;
    let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    if preferences.flat_map(|value| value.split(',')).any(|each| each.trim().eq_ignore_ascii_case("return=minimal")) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(Json(ThreadBody::from(thread)).into_response())
}
