use async_trait::async_trait;

use crate::error::Result;
use crate::ids::ThreadId;
use crate::model::{CheckpointKey, CheckpointList, CheckpointTuple, NewCheckpoint, PendingWrites};
use crate::queue::Lease;
use crate::tenant::Scope;

/// Checkpoints, their blobs and writes. Bytes go in and come out unchanged.
///
/// # Order
///
/// The storage decides which checkpoint is the latest of its namespace: the one that it accepted last. Ids do not
/// decide it, because they carry the clocks of hosts. So each accepted checkpoint gets a position above those of all
/// earlier checkpoints of its thread, in the same transaction, and keeps it when it is replaced. Everything that asks
/// for the latest goes by these positions: reads, lists, pruning and
/// [`Threads::latest_state`](super::Threads::latest_state). A copied thread keeps the order of its source.
///
/// # Fencing
///
/// A write that names a run and its attempt (a [`Lease`]) takes effect only while that attempt is the current one and
/// running; otherwise it fails with `LeaseLost` and changes nothing. The check and the write are one step: once a later
/// attempt is claimed, no write of an earlier one takes effect. So a worker that stood still past its lease cannot
/// change what the next attempt finds. A write on a thread without a row fails with `NotFound`.
#[async_trait]
pub trait Checkpoints: Send + Sync {
    /// One checkpoint with its channel values and writes: the named one, or the latest of its namespace.
    async fn checkpoint(&self, scope: &Scope, key: &CheckpointKey) -> Result<Option<CheckpointTuple>>;

    /// Checkpoints of a thread, the latest first.
    async fn list_checkpoints(
        &self,
        scope: &Scope,
        thread_id: ThreadId,
        list: &CheckpointList,
    ) -> Result<Vec<CheckpointTuple>>;

    /// Keeps a checkpoint. The same id again replaces it, at the position that it has. A blob whose version is there
    /// already is left as it is.
    async fn put_checkpoint(&self, scope: &Scope, new: NewCheckpoint) -> Result<()>;

    /// Keeps writes. A write at an index that the task has used already is ignored, unless the index is negative: then
    /// it replaces.
    async fn put_writes(&self, scope: &Scope, writes: PendingWrites) -> Result<()>;

    /// Removes all checkpoints, blobs and writes of a thread; `lease` is that of the run that asks for it.
    async fn delete_checkpoints(&self, scope: &Scope, thread_id: ThreadId, lease: Option<Lease>) -> Result<()>;
}
