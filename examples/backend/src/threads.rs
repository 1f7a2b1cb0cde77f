use std::collections::BTreeSet;

use async_trait::async_trait;
use langopen_backends::rules::documents;
use langopen_backends::rules::thread::{self, StateChange, ThreadChange};
use langopen_core::model::{
    IfExists, NewThread, Page, PruneStrategy, PrunedThreads, Thread, ThreadPatch, ThreadQuery, ThreadState,
    ThreadStatus, ThreadStorage,
};
use langopen_core::storage::Threads;
use langopen_core::{Error, ErrorKind, JsonMap, RawJson, Result, RunId, Scope, Tenant, ThreadId, Timestamp};

use crate::MyBackend;
use crate::history::History;
use crate::state::State;

pub(crate) struct ThreadRow {
    pub(crate) tenant: Tenant,
    pub(crate) thread: Thread,
    /// The checkpoint that the thread's values belong to, and the rest of its latest state.
    pub(crate) state: Option<(String, RawJson)>,
    pub(crate) history: History,
}

impl ThreadRow {
    pub(crate) fn new(tenant: Tenant, thread: Thread) -> Self {
        Self { tenant, thread, state: None, history: History::default() }
    }

    /// Applies the end of a run, or a state that was made outside of a run.
    pub(crate) fn apply(&mut self, change: ThreadChange, now: Timestamp) {
        let thread = &mut self.thread;
        thread.status = change.status;
        thread.error = change.error;
        thread.interrupts = Some(change.interrupts);
        if change.values.is_some() {
            thread.values = change.values;
        }
        (thread.updated_at, thread.state_updated_at) = (now, now);
        match change.state {
            StateChange::Leave => {}
            StateChange::Clear => self.state = None,
            StateChange::Set { checkpoint_id, rest } => self.state = Some((checkpoint_id, rest)),
        }
    }

    /// Deletes the stored state if it describes this checkpoint, which changes.
    pub(crate) fn forget_state_of(&mut self, ns: &str, checkpoint_id: &str) {
        self.state.take_if(|(id, _)| ns.is_empty() && id == checkpoint_id);
    }

    /// Removes what a run that is rolled back made.
    pub(crate) fn forget_run(&mut self, run_id: RunId) {
        self.history.remove_run(run_id);
        self.state.take_if(|(id, _)| self.history.find("", id).is_none());
    }

    /// The stored state, if no later root checkpoint made it stale.
    fn latest_state(&self) -> Option<ThreadState> {
        let (checkpoint_id, rest) = self.state.clone()?;
        let values = self.thread.values.clone()?;
        self.history.latest("").filter(|latest| latest.checkpoint_id == checkpoint_id)?;
        Some(ThreadState { checkpoint_id, values, rest })
    }
}

fn taken(operation: &'static str, id: ThreadId) -> Error {
    Error::new(ErrorKind::AlreadyExists, operation, format!("thread {id} exists already"))
}

impl State {
    fn threads_in(&self, scope: &Scope) -> impl Iterator<Item = &Thread> {
        self.threads.values().filter(|row| row.is_visible(scope)).map(|row| &row.thread)
    }

    /// Deletes a thread that is not busy, or cuts its history.
    fn prune(&mut self, id: ThreadId, strategy: PruneStrategy, now: Timestamp, done: &mut PrunedThreads) {
        match (strategy, self.threads.get_mut(&id)) {
            (PruneStrategy::KeepLatest, Some(row)) => {
                row.history.cut();
                row.thread.pruned_at = Some(now);
                done.cut.push(id);
            }
            (PruneStrategy::Delete, Some(_)) => {
                self.remove_thread(id);
                done.deleted.push(id);
            }
            (_, None) => {}
        }
    }
}

#[async_trait]
impl Threads for MyBackend {
    async fn create_thread(&self, scope: &Scope, new: NewThread, if_exists: IfExists) -> Result<Thread> {
        let (mut state, id) = (self.state(), new.thread_id);
        if state.threads.contains_key(&id) {
            let shown = state.thread(scope, id).filter(|_| if_exists == IfExists::DoNothing);
            return shown.map(|row| row.thread.clone()).ok_or_else(|| taken("threads.create", id));
        }
        let thread = thread::row(id, new.metadata, JsonMap::new(), new.ttl, self.clock.now());
        state.threads.insert(id, ThreadRow::new(scope.tenant.clone(), thread.clone()));
        Ok(thread)
    }

    async fn thread(&self, scope: &Scope, id: ThreadId) -> Result<Option<Thread>> {
        Ok(self.state().thread(scope, id).map(|row| row.thread.clone()))
    }

    async fn update_thread(&self, scope: &Scope, id: ThreadId, patch: ThreadPatch) -> Result<Thread> {
        let mut state = self.state();
        let thread = &mut state.thread_mut("threads.update", scope, id)?.thread;
        documents::merge(&mut thread.metadata, patch.metadata);
        thread.ttl = patch.ttl.or(thread.ttl);
        thread.updated_at = self.clock.now();
        Ok(thread.clone())
    }

    async fn delete_thread(&self, scope: &Scope, id: ThreadId) -> Result<Vec<RunId>> {
        let mut state = self.state();
        state.thread_mut("threads.delete", scope, id)?;
        Ok(state.remove_thread(id))
    }

    async fn search_threads(&self, scope: &Scope, query: &ThreadQuery) -> Result<Page<Thread>> {
        thread::search(self.state().threads_in(scope), query)
    }

    async fn count_threads(&self, scope: &Scope, query: &ThreadQuery) -> Result<u64> {
        Ok(self.state().threads_in(scope).filter(|each| thread::answers(each, query)).count() as u64)
    }

    async fn copy_thread(&self, scope: &Scope, source: ThreadId, new: ThreadId) -> Result<Thread> {
        const OPERATION: &str = "threads.copy";
        let mut state = self.state();
        let from = state.thread_mut(OPERATION, scope, source)?;
        let (metadata, config) = (from.thread.metadata.clone(), from.thread.config.clone());
        let mut thread = thread::row(new, metadata, config, from.thread.ttl, self.clock.now());
        thread.values.clone_from(&from.thread.values);
        let history = from.history.copied_to(new);
        if state.threads.contains_key(&new) {
            return Err(taken(OPERATION, new));
        }
        let row = ThreadRow { history, ..ThreadRow::new(scope.tenant.clone(), thread.clone()) };
        state.threads.insert(new, row);
        Ok(thread)
    }

    async fn thread_storage(&self, scope: &Scope, id: ThreadId) -> Result<Option<ThreadStorage>> {
        Ok(self.state().thread(scope, id).map(|row| row.history.storage()))
    }

    async fn prune_threads(&self, scope: &Scope, ids: &[ThreadId], strategy: PruneStrategy) -> Result<PrunedThreads> {
        let (mut state, now) = (self.state(), self.clock.now());
        let mut done = PrunedThreads::default();
        for id in BTreeSet::from_iter(ids) {
            if state.thread(scope, *id).is_some() && !state.is_busy(*id) {
                state.prune(*id, strategy, now, &mut done);
            }
        }
        Ok(done)
    }

    async fn sweep_threads(&self, limit: u32) -> Result<PrunedThreads> {
        let (mut state, now) = (self.state(), self.clock.now());
        let expiring = state.threads.values().map(|row| &row.thread);
        let expired = expiring.filter_map(|thread| {
            let expired_at = thread.expires_at().filter(|at| *at <= now && !state.is_busy(thread.thread_id))?;
            Some((expired_at, thread.thread_id, thread.ttl?.strategy))
        });
        let mut expired: Vec<_> = expired.collect();
        expired.sort_unstable_by_key(|(expired_at, id, _)| (*expired_at, *id));
        let mut done = PrunedThreads::default();
        for (_, id, strategy) in expired.into_iter().take(limit as usize) {
            state.prune(id, strategy, now, &mut done);
        }
        Ok(done)
    }

    async fn latest_state(&self, scope: &Scope, id: ThreadId) -> Result<Option<ThreadState>> {
        Ok(self.state().thread(scope, id).and_then(ThreadRow::latest_state))
    }

    async fn set_thread_state(
        &self,
        scope: &Scope,
        id: ThreadId,
        status: ThreadStatus,
        interrupts: RawJson,
        state: ThreadState,
    ) -> Result<Thread> {
        const OPERATION: &str = "threads.set_state";
        let mut tables = self.state();
        let is_busy = tables.is_busy(id);
        let row = tables.thread_mut(OPERATION, scope, id)?;
        if is_busy {
            return Err(Error::conflict(OPERATION, format!("a run is in flight on thread {id}")));
        }
        let ThreadState { checkpoint_id, values, rest } = state;
        let (error, state) = (row.thread.error.take(), StateChange::Set { checkpoint_id, rest });
        row.apply(ThreadChange { status, error, interrupts, values: Some(values), state }, self.clock.now());
        Ok(row.thread.clone())
    }
}
