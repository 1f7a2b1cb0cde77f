use async_trait::async_trait;

use crate::error::Result;
use crate::ids::ThreadId;
use crate::model::{CheckpointKey, CheckpointList, CheckpointTuple, NewCheckpoint, PendingWrites};
use crate::tenant::Scope;

/// Checkpoints, their blobs and writes. Bytes go in and come out unchanged.
///
/// A thread that has no row (a client may keep checkpoints for one that was deleted meanwhile) makes `put` calls fail with `NotFound`, and an attempt of a run that
/// is not the current one, or has ended, with `LeaseLost`: what a worker that was held up still keeps must not become the thread's newest state.
#[async_trait]
pub trait Checkpoints: Send + Sync {
    /// One checkpoint with its channel values and writes: the named one, or the newest of its namespace.
    async fn checkpoint(&self, scope: &Scope, key: &CheckpointKey) -> Result<Option<CheckpointTuple>>;

    /// Checkpoints of a thread, newest (greatest id) first.
    async fn list_checkpoints(
        &self,
        scope: &Scope,
        thread_id: ThreadId,
        list: &CheckpointList,
    ) -> Result<Vec<CheckpointTuple>>;

    /// Keeps a checkpoint; the same id again replaces it. A blob whose version is there already is left as it is.
    async fn put_checkpoint(&self, scope: &Scope, new: NewCheckpoint) -> Result<()>;

    /// Keeps writes. A write at an index that the task has used already is ignored, unless the index is negative: then it replaces.
    async fn put_writes(&self, scope: &Scope, writes: PendingWrites) -> Result<()>;

    /// Removes all checkpoints, blobs and writes of a thread.
    async fn delete_checkpoints(&self, scope: &Scope, thread_id: ThreadId) -> Result<()>;
}
