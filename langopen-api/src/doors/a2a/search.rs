//! Searches tasks: reads an agent's runs by their last change, and keeps those that are the last of their task.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use langopen_core::auth::{Action, Resource};
use langopen_core::model::{FoundRuns, Run, RunPosition, RunQuery, RunSearch, Thread, ThreadQuery, ThreadStatus};
use langopen_core::{JsonMap, RunId, RunStatus, Scope, ThreadId, Timestamp};
use serde_json::json;

use super::chain::Chain;
use super::dialect::State;
use super::request::Request;
use super::task;
use crate::agent::error::ApiResult;
use crate::http::access::Permit;

/// The most runs in one read: of one context, or of all contexts in a batch.
const MOST_RUNS: u32 = 1000;

/// The number of an agent's runs in one batch.
const BATCH: u32 = 50;

/// The most batches for one page. After these, a page ends even if it is not full, and the next page continues.
const MOST_BATCHES: usize = 10;

/// The tasks to search for.
pub(super) struct Wanted {
    pub(super) state: Option<State>,
    /// Changed at this time or later.
    pub(super) since: Option<Timestamp>,
    /// Tasks after this position. A task's position is that of its last run.
    pub(super) after: Option<RunPosition>,
    /// The most tasks to return.
    pub(super) most: usize,
}

#[derive(Default)]
pub(super) struct Found {
    /// The tasks, each with its thread's row.
    pub(super) tasks: Vec<(Chain, Option<Arc<Thread>>)>,
    /// The position at which the next page begins, if there is one.
    pub(super) next: Option<RunPosition>,
    /// The number of tasks on all pages, if it is known.
    pub(super) total: Option<usize>,
}

impl Wanted {
    fn fits(&self, chain: &Chain, thread: Option<&Thread>) -> bool {
        let waits = chain.newest && thread.is_some_and(|thread| thread.status == ThreadStatus::Interrupted);
        self.state.is_none_or(|wanted| task::state(chain.run(), waits) == wanted)
            && self.since.is_none_or(|since| chain.run().updated_at >= since)
    }

    /// The statuses that the last run of a wanted task may have.
    fn statuses(&self) -> &'static [RunStatus] {
        match self.state {
            None => &RunStatus::ALL,
            Some(State::Submitted) => &[RunStatus::Pending],
            Some(State::Working) => &[RunStatus::Running],
            Some(State::InputRequired | State::Completed) => &[RunStatus::Success],
            Some(State::Failed) => &[RunStatus::Error, RunStatus::Timeout],
            Some(State::Canceled) => &[RunStatus::Interrupted, RunStatus::Success],
        }
    }
}

fn place(chain: &Chain) -> RunPosition {
    (chain.run().updated_at, chain.run().run_id)
}

/// The tasks of a context.
pub(super) async fn of_context(request: &Request, scope: &Scope, id: ThreadId, wanted: &Wanted) -> ApiResult<Found> {
    let storage = &request.app.storage;
    let query = RunQuery::default().with_limit(MOST_RUNS);
    let runs = storage.list_runs(scope, id, &query).await?.items;
    let thread = storage.thread(scope, id).await?.map(Arc::new);
    let agent = request.assistant.assistant_id;
    let mut chains = Chain::all(runs);
    chains.retain(|chain| chain.run().assistant_id == agent && wanted.fits(chain, thread.as_deref()));
    chains.sort_unstable_by_key(|chain| Reverse(place(chain)));
    let total = Some(chains.len());
    chains.retain(|chain| wanted.after.is_none_or(|after| place(chain) < after));
    let more = chains.len() > wanted.most;
    chains.truncate(wanted.most);
    let next = chains.last().filter(|_| more).map(place);
    Ok(Found { tasks: chains.into_iter().map(|chain| (chain, thread.clone())).collect(), next, total })
}

/// The agent's tasks in all contexts that the caller may see.
pub(super) async fn of_agent(request: &Request, wanted: &Wanted) -> ApiResult<Found> {
    let contexts = Contexts::permitted(request).await?;
    let mut found = Found { next: wanted.after, ..Found::default() };
    let mut limit = BATCH;
    for _ in 0..MOST_BATCHES {
        let search = RunSearch::new(request.assistant.assistant_id)
            .with_statuses(wanted.statuses().to_vec())
            .with_since(wanted.since)
            .with_after(found.next)
            .with_limit(limit);
        let FoundRuns { runs, next } = request.app.storage.search_runs(&request.rows(), &search).await?;
        let Some(mut tasks) = contexts.tasks(request, &runs).await? else {
            limit = limit.div_ceil(2);
            continue;
        };
        for (chain, thread) in runs.iter().filter_map(|run| tasks.remove(&run.run_id)) {
            if !wanted.fits(&chain, Some(&thread)) {
                continue;
            }
            if found.tasks.len() == wanted.most {
                found.next = found.tasks.last().map(|(chain, _)| place(chain));
                return Ok(found);
            }
            found.tasks.push((chain, Some(thread)));
        }
        found.next = next;
        if next.is_none() {
            break;
        }
    }
    Ok(found)
}

/// The contexts that the caller may see.
struct Contexts {
    permit: Permit,
    query: ThreadQuery,
}

impl Contexts {
    async fn permitted(request: &Request) -> ApiResult<Self> {
        let agent = request.assistant.assistant_id.to_string();
        let metadata = JsonMap::from_iter([("assistant_id".to_owned(), agent.into())]);
        let value = || {
            json!({
                "metadata": metadata, "values": {}, "status": null, "limit": BATCH, "offset": 0, "ids": null, "thread_id": null,
            })
        };
        let mut permit = request.caller.may(Resource::Threads, Action::Search, value).await?;
        let mut query = ThreadQuery::default().with_limit(BATCH);
        query.metadata = permit.object("metadata", JsonMap::new());
        // The metadata name the thread's last assistant, which may be another agent by now.
        query.metadata.shift_remove("assistant_id");
        query.values = permit.object("values", query.values);
        query.status = permit.take("status", query.status)?;
        query.ids = permit.take("ids", query.ids)?;
        Ok(Self { permit, query })
    }

    /// The tasks whose last run is in `runs`, by that run's id, with their threads' rows. `None` if the threads have
    /// too many runs for one read.
    async fn tasks(&self, request: &Request, runs: &[Run]) -> ApiResult<Option<HashMap<RunId, (Chain, Arc<Thread>)>>> {
        let (storage, scope) = (&request.app.storage, &self.permit.scope);
        let ids: BTreeSet<_> = runs.iter().map(|run| run.thread_id).collect();
        let permitted = |id: &ThreadId| self.query.ids.as_ref().is_none_or(|ids| ids.contains(id));
        let query = self.query.clone().with_ids(Some(ids.into_iter().filter(permitted).collect()));
        let threads = storage.search_threads(scope, &query).await?.items;
        let ids: Vec<_> = threads.iter().map(|thread| thread.thread_id).collect();
        let runs = storage.runs_of_threads(scope, &ids, MOST_RUNS).await?;
        if runs.len() == MOST_RUNS as usize && ids.len() > 1 {
            return Ok(None);
        }
        let mut by_thread: HashMap<ThreadId, Vec<Run>> = HashMap::new();
        for run in runs {
            by_thread.entry(run.thread_id).or_default().push(run);
        }
        let mut tasks = HashMap::new();
        for thread in threads.into_iter().map(Arc::new) {
            for chain in Chain::all(by_thread.remove(&thread.thread_id).unwrap_or_default()) {
                tasks.insert(chain.run().run_id, (chain, thread.clone()));
            }
        }
        Ok(Some(tasks))
    }
}
