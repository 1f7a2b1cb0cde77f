use std::cmp::Reverse;
use std::collections::BTreeSet;

use async_trait::async_trait;
use langopen_core::error::{Error, Result};
use langopen_core::ids::{RunId, ThreadId};
use langopen_core::json::JsonMap;
use langopen_core::model::{FoundRuns, Page, Run, RunQuery, RunSearch};
use langopen_core::storage::Runs;
use langopen_core::tenant::Scope;

use super::Memory;
use crate::rules::documents::{merge, page};
use crate::rules::run::{found, place};

fn missing(operation: &'static str, thread_id: ThreadId, run_id: RunId) -> Error {
    Error::not_found(operation, format!("there is no run {run_id} on thread {thread_id}"))
}

#[async_trait]
impl Runs for Memory {
    async fn run(&self, scope: &Scope, thread_id: ThreadId, run_id: RunId) -> Result<Option<Run>> {
        Ok(self.state().run(scope, thread_id, run_id).map(|row| row.run.clone()))
    }

    async fn list_runs(&self, scope: &Scope, thread_id: ThreadId, query: &RunQuery) -> Result<Page<Run>> {
        let state = self.state();
        let newest_first = state.thread(scope, thread_id).into_iter().flat_map(|row| row.runs.iter().rev());
        let runs = newest_first
            .filter_map(|slot| state.runs.get(&slot.1))
            .filter(|row| query.status.is_none_or(|status| status == row.run.status))
            .map(|row| row.run.clone());
        Ok(page(runs, query.offset, query.limit))
    }

    async fn runs_of_threads(&self, scope: &Scope, threads: &[ThreadId], limit: u32) -> Result<Vec<Run>> {
        let state = self.state();
        let threads: BTreeSet<_> = threads.iter().copied().collect();
        let slots = threads.into_iter().filter_map(|id| state.thread(scope, id)).flat_map(|row| row.runs.iter());
        let mut slots: Vec<_> = slots.collect();
        slots.sort_unstable_by(|a, b| b.cmp(a));
        let runs = slots.into_iter().take(limit as usize).filter_map(|slot| state.runs.get(&slot.1));
        Ok(runs.map(|row| row.run.clone()).collect())
    }

    async fn search_runs(&self, scope: &Scope, search: &RunSearch) -> Result<FoundRuns> {
        let state = self.state();
        let of_tenant = state.runs.values().filter(|row| row.tenant == scope.tenant).map(|row| &row.run);
        let mut runs: Vec<_> = of_tenant
            .filter(|run| run.assistant_id == search.assistant_id && search.statuses.contains(&run.status))
            .filter(|run| search.since.is_none_or(|since| run.updated_at >= since))
            .filter(|run| search.after.is_none_or(|after| place(run) < after))
            .collect();
        runs.sort_unstable_by_key(|run| Reverse(place(run)));
        runs.truncate(search.limit as usize);
        let shown = |run: &Run| state.thread(scope, run.thread_id).is_some();
        Ok(found(runs.into_iter().map(|run| (run.clone(), shown(run))).collect(), search.limit))
    }

    async fn update_run(&self, scope: &Scope, thread_id: ThreadId, run_id: RunId, metadata: JsonMap) -> Result<Run> {
        const OPERATION: &str = "runs.update";
        let now = self.now();
        let mut state = self.state();
        state.run(scope, thread_id, run_id).ok_or_else(|| missing(OPERATION, thread_id, run_id))?;
        let row = state.runs.get_mut(&run_id).ok_or_else(|| missing(OPERATION, thread_id, run_id))?;
        merge(&mut row.run.metadata, metadata);
        row.run.updated_at = now;
        Ok(row.run.clone())
    }

    async fn delete_run(&self, scope: &Scope, thread_id: ThreadId, run_id: RunId) -> Result<bool> {
        let mut state = self.state();
        if state.run(scope, thread_id, run_id).is_none() {
            return Err(missing("runs.delete", thread_id, run_id));
        }
        let removed = state.remove_run(run_id).filter(|row| !row.run.status.is_terminal());
        self.stop_deleted(&[run_id]);
        if let Some(removed) = &removed
            && state.settle(thread_id, removed.run.temporary, self.now()).is_some()
        {
            self.shared.wakes.notify_one();
        }
        Ok(removed.is_some())
    }
}
