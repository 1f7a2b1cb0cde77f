//! The runs that a task is made of: the one that it began with, and those that went on with it.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use langopen_core::model::{Run, RunQuery};
use langopen_core::{AssistantId, RunStatus, Scope, ThreadId};
use serde_json::Value;

use super::history::{given_to, ids};
use super::task_id::TaskId;
use crate::http::error::ApiResult;
use crate::server::App;

/// How many runs are read at a time: tasks that are asked for are mostly recent.
const PAGE: u32 = 50;

pub(super) struct Chain {
    pub(super) task: TaskId,
    /// In the order in which they were created; at least one.
    runs: Vec<Run>,
    /// The ids of the messages that the next task of the thread was given.
    pub(super) later: HashSet<String>,
    /// Whether the thread's last run is the task's.
    pub(super) newest: bool,
}

impl Chain {
    /// A task that begins.
    pub(super) fn begin(run: Run) -> Self {
        let task = TaskId { thread_id: run.thread_id, run_id: run.run_id };
        Self { task, runs: vec![run], later: HashSet::new(), newest: true }
    }

    /// The tasks of a thread whose runs these are, newest first; those whose first run is not among them too.
    pub(super) fn all(runs: Vec<Run>) -> Vec<Self> {
        let mut chains: Vec<Self> = Vec::new();
        let mut places: HashMap<TaskId, usize> = HashMap::new();
        let mut later = HashSet::new();
        for run in runs {
            let task = TaskId::of(&run);
            let given: HashSet<_> = ids(&given_to(&run)).collect();
            match places.entry(task) {
                Entry::Occupied(place) => chains[*place.get()].runs.insert(0, run),
                Entry::Vacant(place) => {
                    place.insert(chains.len());
                    let newest = chains.is_empty();
                    chains.push(Self { task, runs: vec![run], later: later.clone(), newest });
                }
            }
            if !given.is_empty() {
                later = given;
            }
        }
        chains
    }

    /// Finds a task of an agent on a thread that the scope shows.
    pub(super) async fn find(app: &App, scope: &Scope, agent: AssistantId, task: TaskId) -> ApiResult<Option<Self>> {
        let mut chain = Self { task, runs: Vec::new(), later: HashSet::new(), newest: true };
        let mut query = RunQuery { limit: PAGE, ..RunQuery::default() };
        loop {
            let page = app.storage.list_runs(scope, task.thread_id, &query).await?;
            if chain.take(&page.items) {
                return Ok(Some(chain).filter(|chain| chain.run().assistant_id == agent));
            }
            if !page.more {
                return Ok(None);
            }
            query.offset += PAGE;
        }
    }

    /// The task that a thread's last run belongs to.
    pub(super) async fn newest(app: &App, scope: &Scope, agent: AssistantId, id: ThreadId) -> ApiResult<Option<Self>> {
        let last = app.storage.list_runs(scope, id, &RunQuery { limit: 1, ..RunQuery::default() }).await?;
        match last.items.first() {
            Some(run) => Self::find(app, scope, agent, TaskId::of(run)).await,
            None => Ok(None),
        }
    }

    /// Looks through runs, newest first, and tells whether the task's first was among them.
    fn take(&mut self, runs: &[Run]) -> bool {
        for run in runs {
            if TaskId::of(run) != self.task {
                if self.runs.is_empty() {
                    self.newest = false;
                    let given: HashSet<_> = ids(&given_to(run)).collect();
                    self.later = if given.is_empty() { std::mem::take(&mut self.later) } else { given };
                }
                continue;
            }
            self.runs.insert(0, run.clone());
            if run.run_id == self.task.run_id {
                return true;
            }
        }
        false
    }

    /// Goes on with another run.
    pub(super) fn push(&mut self, run: Run) {
        self.runs.push(run);
        self.newest = true;
    }

    /// The run that tells how the task stands.
    pub(super) fn run(&self) -> &Run {
        // There is one from the beginning.
        &self.runs[self.runs.len() - 1]
    }

    /// Takes over what the last run's row says now. A row that is gone belonged to a run that was taken back.
    pub(super) fn update(&mut self, row: Option<Run>) {
        let Some(held) = self.runs.last_mut() else { return };
        match row {
            Some(row) => *held = row,
            None => held.status = RunStatus::Interrupted,
        }
    }

    /// The messages that its runs were given.
    pub(super) fn given(&self) -> Vec<Value> {
        self.runs.iter().flat_map(given_to).collect()
    }
}
