use async_trait::async_trait;

use crate::error::Result;
use crate::ids::{RunId, ThreadId};
use crate::json::RawJson;
use crate::model::{
    IfExists, NewThread, Page, PruneStrategy, PrunedThreads, Thread, ThreadPatch, ThreadQuery, ThreadState,
    ThreadStatus, ThreadStorage,
};
use crate::tenant::Scope;

/// Threads and their latest state. A thread with a `ttl` expires when its row has not changed for that long.
#[async_trait]
pub trait Threads: Send + Sync {
    /// Creates a thread: idle, without values.
    ///
    /// # Errors
    /// - `AlreadyExists`: the id is taken, and `if_exists` is `Raise` or the row is outside of the scope.
    async fn create_thread(&self, scope: &Scope, new: NewThread, if_exists: IfExists) -> Result<Thread>;

    /// The thread's row.
    async fn thread(&self, scope: &Scope, id: ThreadId) -> Result<Option<Thread>>;

    /// Changes a thread.
    ///
    /// # Errors
    /// - `NotFound`: the thread does not exist.
    async fn update_thread(&self, scope: &Scope, id: ThreadId, patch: ThreadPatch) -> Result<Thread>;

    /// Removes a thread with its runs, checkpoints, writes and blobs. The workers of running runs lose their leases,
    /// and receive a cancel signal. Returns the runs that were in flight; the caller must close their streams.
    ///
    /// # Errors
    /// - `NotFound`: the thread does not exist.
    async fn delete_thread(&self, scope: &Scope, id: ThreadId) -> Result<Vec<RunId>>;

    /// Finds threads.
    async fn search_threads(&self, scope: &Scope, query: &ThreadQuery) -> Result<Page<Thread>>;

    /// The number of threads that a search finds over all its pages.
    async fn count_threads(&self, scope: &Scope, query: &ThreadQuery) -> Result<u64>;

    /// Copies a thread to a new id: its metadata, config, values and all checkpoints, in their order. The copy is idle
    /// and has no runs. A `thread_id` in the metadata of a checkpoint becomes the new id.
    ///
    /// # Errors
    /// - `NotFound`: the source does not exist.
    /// - `AlreadyExists`: the new id is taken.
    async fn copy_thread(&self, scope: &Scope, source: ThreadId, new: ThreadId) -> Result<Thread>;

    /// The storage space of the thread's checkpoints.
    async fn thread_storage(&self, scope: &Scope, id: ThreadId) -> Result<Option<ThreadStorage>>;

    /// Prunes the given threads, except those that do not exist or have a run in flight.
    ///
    /// With `KeepLatest`, the storage keeps:
    /// - in each namespace, the latest checkpoint with its writes and blobs;
    /// - the ancestors from which a kept checkpoint is computed (its metadata has `counters_since_delta_snapshot`);
    /// - the thread's row, of which only `pruned_at` changes.
    ///
    /// It removes the whole namespace of a subgraph task (its name contains a `:`) if the metadata of its latest
    /// checkpoint names parents that are older than the kept checkpoints. No kept checkpoint leads to such a namespace.
    async fn prune_threads(&self, scope: &Scope, ids: &[ThreadId], strategy: PruneStrategy) -> Result<PrunedThreads>;

    /// Prunes at most `limit` expired threads of all tenants, each as its `ttl` specifies. Threads with a run in flight
    /// are skipped. Order: those that expired first.
    async fn sweep_threads(&self, limit: u32) -> Result<PrunedThreads>;

    /// The stored latest state of the thread, if it still describes the latest root checkpoint.
    ///
    /// `None` does not mean that the thread has no state. The caller must then read it from the graph.
    async fn latest_state(&self, scope: &Scope, id: ThreadId) -> Result<Option<ThreadState>>;

    /// Stores a state that was made outside of a run: the row's values, open interrupts and status, and the latest
    /// state.
    ///
    /// # Errors
    /// - `NotFound`: the thread does not exist.
    /// - `Conflict`: a run is in flight.
    async fn set_thread_state(
        &self,
        scope: &Scope,
        id: ThreadId,
        status: ThreadStatus,
        interrupts: RawJson,
        state: ThreadState,
    ) -> Result<Thread>;
}
