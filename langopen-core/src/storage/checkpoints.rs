use async_trait::async_trait;

use crate::error::Result;
use crate::ids::ThreadId;
use crate::model::{CheckpointKey, CheckpointList, CheckpointTuple, NewCheckpoint, PendingWrites};
use crate::queue::Lease;
use crate::tenant::Scope;

/// Checkpoints, their blobs and writes. The storage returns bytes unchanged.
///
/// # Order
///
/// The storage decides which checkpoint is the latest of its namespace: the one that it accepted last. Ids do not
/// decide it, because they carry the clocks of hosts.
///
/// - Each accepted checkpoint gets a position above those of all earlier checkpoints of its thread, in the same
///   transaction.
/// - A checkpoint that is replaced keeps its position.
/// - Every operation that needs the latest checkpoint uses these positions: reads, lists, pruning and
///   [`Threads::latest_state`](super::Threads::latest_state).
/// - A copied thread keeps the order of its source.
///
/// # Fencing
///
/// A write may name a run and its attempt (a [`Lease`]).
///
/// - It takes effect only while that attempt is the current one and running. Otherwise it fails with `LeaseLost` and
///   changes nothing.
/// - The check and the write are one step: after a claim of a later attempt, no write of an earlier one takes effect.
///   So a worker that resumes after its lease cannot change the checkpoints of the next attempt.
/// - A write to a thread without a row fails with `NotFound`.
#[async_trait]
pub trait Checkpoints: Send + Sync {
    /// One checkpoint with its channel values and writes: the one with the given id, or the latest of its namespace.
    async fn checkpoint(&self, scope: &Scope, key: &CheckpointKey) -> Result<Option<CheckpointTuple>>;

    /// The checkpoints of a thread, latest first.
    async fn list_checkpoints(
        &self,
        scope: &Scope,
        thread_id: ThreadId,
        list: &CheckpointList,
    ) -> Result<Vec<CheckpointTuple>>;

    /// Stores a checkpoint.
    ///
    /// - A checkpoint with the same id is replaced; the new one keeps its position.
    /// - A blob whose version is already stored is not replaced.
    async fn put_checkpoint(&self, scope: &Scope, new: NewCheckpoint) -> Result<()>;

    /// Stores writes.
    ///
    /// - A write with a non-negative index that the task has already used is ignored.
    /// - A write with a negative index replaces the stored one.
    async fn put_writes(&self, scope: &Scope, writes: PendingWrites) -> Result<()>;

    /// Removes all checkpoints, blobs and writes of a thread. `lease` is the lease of the run that makes the request.
    async fn delete_checkpoints(&self, scope: &Scope, thread_id: ThreadId, lease: Option<Lease>) -> Result<()>;
}
