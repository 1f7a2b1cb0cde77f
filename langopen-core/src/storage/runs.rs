use async_trait::async_trait;

use crate::error::Result;
use crate::ids::{RunId, ThreadId};
use crate::json::JsonMap;
use crate::model::{FoundRuns, Page, Run, RunQuery, RunSearch};
use crate::tenant::Scope;

/// The rows of runs. The scope's filter applies to the metadata of the run's thread.
#[async_trait]
pub trait Runs: Send + Sync {
    /// The run, if it is on this thread.
    async fn run(&self, scope: &Scope, thread_id: ThreadId, run_id: RunId) -> Result<Option<Run>>;

    /// The runs of a thread, newest first.
    async fn list_runs(&self, scope: &Scope, thread_id: ThreadId, query: &RunQuery) -> Result<Page<Run>>;

    /// The newest `limit` runs of several threads, newest first. A thread that does not exist has no runs.
    async fn runs_of_threads(&self, scope: &Scope, threads: &[ThreadId], limit: u32) -> Result<Vec<Run>>;

    /// Finds runs of an assistant. The call reads at most `limit` runs, so its cost is bounded, and returns the
    /// position at which the next search continues. It omits runs that the scope hides, so an answer may hold fewer
    /// than `limit` runs.
    async fn search_runs(&self, scope: &Scope, search: &RunSearch) -> Result<FoundRuns>;

    /// Merges `metadata` into a run's metadata, key by key, whatever the run's status.
    ///
    /// # Errors
    /// - `NotFound`: the run is not on this thread.
    async fn update_run(&self, scope: &Scope, thread_id: ThreadId, run_id: RunId, metadata: JsonMap) -> Result<Run>;

    /// Removes a run's row, whether it is in flight or not; its checkpoints stay.
    ///
    /// For a run in flight, the same step updates the thread's status as if the run had ended and makes the thread's
    /// next run ready. Returns whether the run was in flight; if so, the caller must close its stream.
    ///
    /// # Errors
    /// - `NotFound`: the run is not on this thread.
    async fn delete_run(&self, scope: &Scope, thread_id: ThreadId, run_id: RunId) -> Result<bool>;
}
