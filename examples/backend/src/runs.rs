use std::cmp::Reverse;

use async_trait::async_trait;
use langopen_backends::rules::documents::{merge, page};
use langopen_backends::rules::run::{found, place};
use langopen_core::model::{FoundRuns, Page, Run, RunQuery, RunSearch};
use langopen_core::storage::Runs;
use langopen_core::{Error, JsonMap, Result, RunId, Scope, ThreadId};

use crate::MyBackend;
use crate::state::State;

fn missing(operation: &'static str, thread_id: ThreadId, run_id: RunId) -> Error {
    Error::not_found(operation, format!("there is no run {run_id} on thread {thread_id}"))
}

/// The runs of the threads that the scope shows, newest first.
fn newest_first<'a>(state: &'a State, scope: &Scope, threads: &[ThreadId]) -> Vec<&'a Run> {
    let on_threads = state.runs.values().map(|row| &row.run).filter(|run| threads.contains(&run.thread_id));
    let mut runs: Vec<_> = on_threads.filter(|run| state.thread(scope, run.thread_id).is_some()).collect();
    runs.sort_unstable_by_key(|run| Reverse((run.created_at, run.run_id)));
    runs
}

#[async_trait]
impl Runs for MyBackend {
    async fn run(&self, scope: &Scope, thread_id: ThreadId, run_id: RunId) -> Result<Option<Run>> {
        Ok(self.state().run(scope, thread_id, run_id).map(|row| row.run.clone()))
    }

    async fn list_runs(&self, scope: &Scope, thread_id: ThreadId, query: &RunQuery) -> Result<Page<Run>> {
        let state = self.state();
        let runs = newest_first(&state, scope, &[thread_id]).into_iter();
        let wanted = runs.filter(|run| query.status.is_none_or(|status| status == run.status));
        Ok(page(wanted.cloned(), query.offset, query.limit))
    }

    async fn runs_of_threads(&self, scope: &Scope, threads: &[ThreadId], limit: u32) -> Result<Vec<Run>> {
        let state = self.state();
        Ok(newest_first(&state, scope, threads).into_iter().take(limit as usize).cloned().collect())
    }

    async fn search_runs(&self, scope: &Scope, search: &RunSearch) -> Result<FoundRuns> {
        let state = self.state();
        let own = state.runs.values().filter(|row| row.tenant == scope.tenant).map(|row| &row.run);
        let wanted = |run: &&Run| {
            run.assistant_id == search.assistant_id
                && search.statuses.contains(&run.status)
                && search.since.is_none_or(|since| since <= run.updated_at)
                && search.after.is_none_or(|after| place(run) < after)
        };
        let mut runs: Vec<_> = own.filter(wanted).collect();
        runs.sort_unstable_by_key(|run| Reverse(place(run)));
        let read = runs.into_iter().take(search.limit as usize);
        let read = read.map(|run| (run.clone(), state.thread(scope, run.thread_id).is_some()));
        Ok(found(read.collect(), search.limit))
    }

    async fn update_run(&self, scope: &Scope, thread_id: ThreadId, run_id: RunId, metadata: JsonMap) -> Result<Run> {
        let mut state = self.state();
        let is_shown = state.run(scope, thread_id, run_id).is_some();
        let row = state.runs.get_mut(&run_id).filter(|_| is_shown);
        let row = row.ok_or_else(|| missing("runs.update", thread_id, run_id))?;
        merge(&mut row.run.metadata, metadata);
        row.run.updated_at = self.clock.now();
        Ok(row.run.clone())
    }

    async fn delete_run(&self, scope: &Scope, thread_id: ThreadId, run_id: RunId) -> Result<bool> {
        let mut state = self.state();
        let row = state.run(scope, thread_id, run_id).ok_or_else(|| missing("runs.delete", thread_id, run_id))?;
        let temporary = row.run.temporary;
        let was_in_flight = state.remove_run(run_id);
        if was_in_flight {
            state.settle(thread_id, temporary, self.clock.now());
        }
        Ok(was_in_flight)
    }
}
