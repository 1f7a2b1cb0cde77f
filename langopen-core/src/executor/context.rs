//! The store that an executor works with.

use std::fmt;
use std::sync::Arc;

use crate::error::Result;
use crate::ids::ThreadId;
use crate::model::{
    CheckpointKey, CheckpointList, CheckpointTuple, ItemReadOptions, NamespaceQuery, NewCheckpoint, NewStoreItem, Page,
    PendingWrites, ScoredItem, StoreItem, StoreItemQuery,
};
use crate::queue::Lease;
use crate::storage::{Checkpoints, StoreItems};
use crate::tenant::{Scope, Tenant};

/// The checkpoints and store items of one scope: all that an executor can reach while it works for a caller.
///
/// The methods are those of [`Checkpoints`] and [`StoreItems`], without the scope and without what belongs to other
/// parts of the platform. The context of a run also binds the run's [`Lease`]: it writes the lease into each change, so
/// an executor can neither omit it nor use another one. In the context of a question, changes have no lease.
///
/// ```
/// use std::sync::Arc;
///
/// use langopen_core::executor::ExecutionContext;
/// use langopen_core::storage::Storage;
/// use langopen_core::{Result, Scope, ThreadId};
///
/// /// The number of checkpoints of a thread, as an executor sees it.
/// async fn count(storage: Arc<dyn Storage>, scope: Scope, thread_id: ThreadId) -> Result<usize> {
///     let context = ExecutionContext::new(storage.clone(), storage, scope);
///     Ok(context.list_checkpoints(thread_id, &Default::default()).await?.len())
/// }
/// ```
#[derive(Clone)]
pub struct ExecutionContext {
    checkpoints: Arc<dyn Checkpoints>,
    items: Arc<dyn StoreItems>,
    scope: Scope,
    lease: Option<Lease>,
}

impl ExecutionContext {
    /// The context of questions in this scope. [`RunJob::new`](super::RunJob::new) makes the context of a run from it.
    pub fn new(checkpoints: Arc<dyn Checkpoints>, items: Arc<dyn StoreItems>, scope: Scope) -> Self {
        Self { checkpoints, items, scope, lease: None }
    }

    /// The same scope, for the run with this lease.
    #[must_use]
    pub(super) fn bound(mut self, lease: Lease) -> Self {
        self.lease = Some(lease);
        self
    }

    /// The tenant of the scope.
    pub fn tenant(&self) -> &Tenant {
        &self.scope.tenant
    }

    /// The run and the attempt that the context is for; `None` for a question.
    pub fn lease(&self) -> Option<Lease> {
        self.lease
    }

    /// See [`Checkpoints::checkpoint`].
    ///
    /// # Errors
    /// The storage's error.
    pub async fn checkpoint(&self, key: &CheckpointKey) -> Result<Option<CheckpointTuple>> {
        self.checkpoints.checkpoint(&self.scope, key).await
    }

    /// See [`Checkpoints::list_checkpoints`].
    ///
    /// # Errors
    /// The storage's error.
    pub async fn list_checkpoints(&self, thread_id: ThreadId, list: &CheckpointList) -> Result<Vec<CheckpointTuple>> {
        self.checkpoints.list_checkpoints(&self.scope, thread_id, list).await
    }

    /// See [`Checkpoints::put_checkpoint`]. The context sets `run_id` and `attempt`.
    ///
    /// # Errors
    /// `LeaseLost` if the run's attempt is over; otherwise the storage's error.
    pub async fn put_checkpoint(&self, new: NewCheckpoint) -> Result<()> {
        let (run_id, attempt) = self.stamp();
        self.checkpoints.put_checkpoint(&self.scope, NewCheckpoint { run_id, attempt, ..new }).await
    }

    /// See [`Checkpoints::put_writes`]. The context sets `run_id` and `attempt`.
    ///
    /// # Errors
    /// `LeaseLost` if the run's attempt is over; otherwise the storage's error.
    pub async fn put_writes(&self, writes: PendingWrites) -> Result<()> {
        let (run_id, attempt) = self.stamp();
        self.checkpoints.put_writes(&self.scope, PendingWrites { run_id, attempt, ..writes }).await
    }

    /// See [`Checkpoints::delete_checkpoints`].
    ///
    /// # Errors
    /// `LeaseLost` if the run's attempt is over; otherwise the storage's error.
    pub async fn delete_checkpoints(&self, thread_id: ThreadId) -> Result<()> {
        self.checkpoints.delete_checkpoints(&self.scope, thread_id, self.lease).await
    }

    /// See [`StoreItems::put_item`]. The context sets `lease`.
    ///
    /// # Errors
    /// `LeaseLost` if the run's attempt is over; otherwise the storage's error.
    pub async fn put_item(&self, new: NewStoreItem) -> Result<()> {
        self.items.put_item(&self.scope, NewStoreItem { lease: self.lease, ..new }).await
    }

    /// See [`StoreItems::item`].
    ///
    /// # Errors
    /// The storage's error.
    pub async fn item(&self, namespace: &[String], key: &str, options: ItemReadOptions) -> Result<Option<StoreItem>> {
        self.items.item(&self.scope, namespace, key, options).await
    }

    /// See [`StoreItems::delete_item`].
    ///
    /// # Errors
    /// `LeaseLost` if the run's attempt is over; otherwise the storage's error.
    pub async fn delete_item(&self, namespace: &[String], key: &str) -> Result<()> {
        self.items.delete_item(&self.scope, namespace, key, self.lease).await
    }

    /// See [`StoreItems::search_items`].
    ///
    /// # Errors
    /// The storage's error.
    pub async fn search_items(&self, query: &StoreItemQuery) -> Result<Page<ScoredItem>> {
        self.items.search_items(&self.scope, query).await
    }

    /// See [`StoreItems::list_namespaces`].
    ///
    /// # Errors
    /// The storage's error.
    pub async fn list_namespaces(&self, query: &NamespaceQuery) -> Result<Vec<Vec<String>>> {
        self.items.list_namespaces(&self.scope, query).await
    }

    fn stamp(&self) -> (Option<crate::RunId>, Option<u32>) {
        (self.lease.map(|lease| lease.run_id), self.lease.map(|lease| lease.attempt))
    }
}

impl fmt::Debug for ExecutionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecutionContext")
            .field("scope", &self.scope)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}
