use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use langopen_core::auth::{Action, Resource};
use langopen_core::model::{self, Volume};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::agent::App;
use crate::agent::ThreadPath;
use crate::agent::error::{ApiResult, ErrorResponse};
use crate::agent::thread::not_found;
use crate::http::access::Caller;

/// The storage that a thread's checkpoints use.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ThreadStorage {
    thread_id: Uuid,
    total_bytes: u64,
    #[schema(inline)]
    checkpoints: Amount,
    #[schema(inline)]
    channel_values: ChannelValues,
    #[schema(inline)]
    pending_writes: Amount,
}

#[derive(Debug, Serialize, ToSchema)]
struct Amount {
    count: u64,
    bytes: u64,
}

#[derive(Debug, Serialize, ToSchema)]
struct ChannelValues {
    count: u64,
    bytes: u64,
    #[schema(inline)]
    by_channel: BTreeMap<String, Channel>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Channel {
    versions: u64,
    bytes: u64,
}

impl From<Volume> for Amount {
    fn from(Volume { count, bytes }: Volume) -> Self {
        Self { count, bytes }
    }
}

impl ThreadStorage {
    fn new(thread_id: Uuid, storage: model::ThreadStorage) -> Self {
        let count = storage.channels.values().map(|volume| volume.count).sum();
        let bytes = storage.channels.values().map(|volume| volume.bytes).sum();
        let channel =
            |(name, volume): (String, Volume)| (name, Channel { versions: volume.count, bytes: volume.bytes });
        Self {
            thread_id,
            total_bytes: storage.checkpoints.bytes + bytes + storage.pending_writes.bytes,
            checkpoints: storage.checkpoints.into(),
            channel_values: ChannelValues {
                count,
                bytes,
                by_channel: storage.channels.into_iter().map(channel).collect(),
            },
            pending_writes: storage.pending_writes.into(),
        }
    }
}

/// Get Thread Storage
///
/// Returns the storage that a thread's checkpoints use, by kind and channel.
#[utoipa::path(
    get, path = "/threads/{thread_id}/storage", tag = "Threads", operation_id = "get_thread_storage",
    params(("thread_id" = Uuid, Path, description = "The thread")),
    responses(
        (status = 200, description = "The amounts", body = ThreadStorage),
        (status = 404, description = "No such thread", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn get_storage(
    State(app): State<App>,
    caller: Caller,
    ThreadPath(thread_id): ThreadPath,
) -> ApiResult<Json<ThreadStorage>> {
    let scope = caller.may(Resource::Threads, Action::Read, || json!({"thread_id": thread_id})).await?.scope;
    let storage = app.storage.thread_storage(&scope, thread_id).await?.ok_or_else(|| not_found(thread_id))?;
    Ok(Json(ThreadStorage::new(thread_id.0, storage)))
}
