use async_trait::async_trait;

use crate::error::Result;
use crate::ids::{RunId, ThreadId};
use crate::json::JsonMap;
use crate::model::{FoundRuns, Page, Run, RunQuery, RunSearch};
use crate::tenant::Scope;

/// Runs as rows to read and delete. The scope's filter applies to the metadata of the run's thread.
#[async_trait]
pub trait Runs: Send + Sync {
    /// The run, if it is on that thread.
    async fn run(&self, scope: &Scope, thread_id: ThreadId, run_id: RunId) -> Result<Option<Run>>;

    /// The runs of a thread, newest first.
    async fn list_runs(&self, scope: &Scope, thread_id: ThreadId, query: &RunQuery) -> Result<Page<Run>>;

    /// The runs of some threads together, newest first and at most `limit`. A thread that is not there has none.
    async fn runs_of_threads(&self, scope: &Scope, threads: &[ThreadId], limit: u32) -> Result<Vec<Run>>;

    /// Finds runs of an assistant. It looks at `limit` runs at most, so that its work is bounded, and tells where to go on; what the scope does not show is left out
    /// of what it gives.
    async fn search_runs(&self, scope: &Scope, search: &RunSearch) -> Result<FoundRuns>;

    /// Merges `metadata` into a run's, key by key, whatever its status.
    ///
    /// # Errors
    /// `NotFound`.
    async fn update_run(&self, scope: &Scope, thread_id: ThreadId, run_id: RunId, metadata: JsonMap) -> Result<Run>;

    /// Removes a run's row, in flight or not; its checkpoints stay. The thread's status is settled as if the run had
    /// ended, and the thread's next run is promoted. Returns whether the run was in flight: then its stream must be closed.
    ///
    /// # Errors
    /// `NotFound`.
    async fn delete_run(&self, scope: &Scope, thread_id: ThreadId, run_id: RunId) -> Result<bool>;
}
