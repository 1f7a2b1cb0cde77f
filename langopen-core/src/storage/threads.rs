use async_trait::async_trait;

use crate::error::Result;
use crate::ids::{RunId, ThreadId};
use crate::json::RawJson;
use crate::model::{
    IfExists, NewThread, Page, PruneStrategy, PrunedThreads, Thread, ThreadPatch, ThreadQuery, ThreadState,
    ThreadStatus, ThreadStorage,
};
use crate::tenant::Scope;

/// Threads and their latest state. A thread with a `ttl` expires that long after its row last changed.
#[async_trait]
pub trait Threads: Send + Sync {
    /// Keeps a new thread: idle, without values.
    ///
    /// # Errors
    /// `AlreadyExists` when the id is taken and `if_exists` is `Raise`, or the row is outside of the scope.
    async fn create_thread(&self, scope: &Scope, new: NewThread, if_exists: IfExists) -> Result<Thread>;

    /// The thread's row.
    async fn thread(&self, scope: &Scope, id: ThreadId) -> Result<Option<Thread>>;

    /// Changes a thread.
    ///
    /// # Errors
    /// `NotFound`.
    async fn update_thread(&self, scope: &Scope, id: ThreadId, patch: ThreadPatch) -> Result<Thread>;

    /// Removes a thread with its runs (also running ones, whose workers thereby lose their leases), checkpoints, writes
    /// and blobs. Returns the runs that were in flight: they are gone, so their streams must be closed.
    ///
    /// # Errors
    /// `NotFound`.
    async fn delete_thread(&self, scope: &Scope, id: ThreadId) -> Result<Vec<RunId>>;

    /// Finds threads.
    async fn search_threads(&self, scope: &Scope, query: &ThreadQuery) -> Result<Page<Thread>>;

    /// How many threads a search would find over all its pages.
    async fn count_threads(&self, scope: &Scope, query: &ThreadQuery) -> Result<u64>;

    /// Copies a thread with its metadata, config, values and all checkpoints, in their order, to a new id; the copy is
    /// idle and has no runs. Where a checkpoint's metadata have a `thread_id`, it becomes the new one.
    ///
    /// # Errors
    /// `NotFound` for the source, `AlreadyExists` for the new id.
    async fn copy_thread(&self, scope: &Scope, source: ThreadId, new: ThreadId) -> Result<Thread>;

    /// How much the thread's checkpoints take.
    async fn thread_storage(&self, scope: &Scope, id: ThreadId) -> Result<Option<ThreadStorage>>;

    /// Prunes those of the threads that are there and have no run in flight.
    ///
    /// `KeepLatest` keeps of each namespace the latest checkpoint with its writes, and the blobs that it needs. A
    /// subgraph's namespace goes altogether when it was a task's (its name holds a `:`) and the checkpoint's metadata
    /// say that its parents are older than the checkpoints that are kept: nothing leads to it any more. Ancestors that
    /// a checkpoint is computed from (its metadata have `counters_since_delta_snapshot`) are kept with it. The row
    /// stays as it is, but for `pruned_at`.
    async fn prune_threads(&self, scope: &Scope, ids: &[ThreadId], strategy: PruneStrategy) -> Result<PrunedThreads>;

    /// Prunes threads of all tenants whose time is over and that have no run in flight, each as its `ttl` says: those
    /// that expired first, and at most `limit` of them.
    async fn sweep_threads(&self, limit: u32) -> Result<PrunedThreads>;

    /// The latest state that was kept for the thread, if it still describes the latest root checkpoint.
    ///
    /// `None` means that the state must be read from the graph, not that there is none.
    async fn latest_state(&self, scope: &Scope, id: ThreadId) -> Result<Option<ThreadState>>;

    /// Keeps a state that was made outside of a run: values, open interrupts and status of the row, and the latest
    /// state.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` while a run is in flight.
    async fn set_thread_state(
        &self,
        scope: &Scope,
        id: ThreadId,
        status: ThreadStatus,
        interrupts: RawJson,
        state: ThreadState,
    ) -> Result<Thread>;
}
