use std::collections::BTreeSet;

use async_trait::async_trait;

use super::Memory;
use crate::backend::rules::documents::page;
use crate::error::{Error, Result};
use crate::ids::{RunId, ThreadId};
use crate::model::{Page, Run, RunQuery};
use crate::storage::Runs;
use crate::tenant::Scope;

#[async_trait]
impl Runs for Memory {
    async fn run(&self, scope: &Scope, thread_id: ThreadId, run_id: RunId) -> Result<Option<Run>> {
        Ok(self.state().run(scope, thread_id, run_id).map(|row| row.run.clone()))
    }

    async fn list_runs(&self, scope: &Scope, thread_id: ThreadId, query: &RunQuery) -> Result<Page<Run>> {
        let state = self.state();
        let newest_first = state.thread(scope, thread_id).into_iter().flat_map(|row| row.runs.iter().rev());
        let runs = newest_first
            .filter_map(|place| state.runs.get(&place.1))
            .filter(|row| query.status.is_none_or(|status| status == row.run.status))
            .map(|row| row.run.clone());
        Ok(page(runs, query.offset, query.limit))
    }

    async fn runs_of_threads(&self, scope: &Scope, threads: &[ThreadId], limit: u32) -> Result<Vec<Run>> {
        let state = self.state();
        let threads: BTreeSet<_> = threads.iter().copied().collect();
        let places = threads.into_iter().filter_map(|id| state.thread(scope, id)).flat_map(|row| row.runs.iter());
        let mut places: Vec<_> = places.collect();
        places.sort_unstable_by(|a, b| b.cmp(a));
        let runs = places.into_iter().take(limit as usize).filter_map(|place| state.runs.get(&place.1));
        Ok(runs.map(|row| row.run.clone()).collect())
    }

    async fn delete_run(&self, scope: &Scope, thread_id: ThreadId, run_id: RunId) -> Result<bool> {
        let mut state = self.state();
        if state.run(scope, thread_id, run_id).is_none() {
            return Err(Error::not_found("runs.delete", format!("there is no run {run_id} on thread {thread_id}")));
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
