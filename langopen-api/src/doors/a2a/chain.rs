//! The runs of a task: the first one, and those that continued it.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use langopen_core::model::{Run, RunQuery};
use langopen_core::{AssistantId, RunStatus, Scope, ThreadId};
use serde_json::Value;

use super::history::{given_to, ids};
use super::task_id::TaskId;
use crate::agent::App;
use crate::agent::error::ApiResult;

/// The number of runs in one read. Clients mostly ask for recent tasks.
const PAGE: u32 = 50;

pub(super) struct Chain {
    pub(super) task: TaskId,
    /// In order of creation; at least one.
    runs: Vec<Run>,
    /// The ids of the input messages of the thread's next task.
    pub(super) later: HashSet<String>,
    /// Whether the thread's last run belongs to the task.
    pub(super) newest: bool,
}

impl Chain {
    /// A new task.
    pub(super) fn begin(run: Run) -> Self {
        let task = TaskId { thread_id: run.thread_id, run_id: run.run_id };
        Self { task, runs: vec![run], later: HashSet::new(), newest: true }
    }

    /// Groups a thread's runs, newest first, into tasks, newest first. A task counts even if its first run is not in
    /// `runs`.
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

    /// Finds an agent's task on a thread, if the scope allows it.
    pub(super) async fn find(app: &App, scope: &Scope, agent: AssistantId, task: TaskId) -> ApiResult<Option<Self>> {
        let mut chain = Self { task, runs: Vec::new(), later: HashSet::new(), newest: true };
        let mut query = RunQuery::default().with_limit(PAGE);
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
        let last = app.storage.list_runs(scope, id, &RunQuery::default().with_limit(1)).await?;
        match last.items.first() {
            Some(run) => Self::find(app, scope, agent, TaskId::of(run)).await,
            None => Ok(None),
        }
    }

    /// Takes the task's runs from a page, newest first. Returns whether the page held the task's first run.
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

    /// Adds a run that continues the task.
    pub(super) fn push(&mut self, run: Run) {
        self.runs.push(run);
        self.newest = true;
    }

    /// The task's last run, which decides its state.
    pub(super) fn run(&self) -> &Run {
        // `runs` is never empty.
        &self.runs[self.runs.len() - 1]
    }

    /// Updates the last run from its row. A deleted row means that the run was rolled back.
    pub(super) fn update(&mut self, row: Option<Run>) {
        let Some(held) = self.runs.last_mut() else { return };
        match row {
            Some(row) => *held = row,
            None => held.status = RunStatus::Interrupted,
        }
    }

    /// The input messages of the task's runs.
    pub(super) fn given(&self) -> Vec<Value> {
        self.runs.iter().flat_map(given_to).collect()
    }
}
