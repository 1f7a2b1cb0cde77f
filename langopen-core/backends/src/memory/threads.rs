use std::collections::BTreeSet;

use async_trait::async_trait;
use langopen_core::clock::Timestamp;
use langopen_core::error::{Error, ErrorKind, Result};
use langopen_core::ids::{RunId, ThreadId};
use langopen_core::json::{JsonMap, RawJson};
use langopen_core::model::{
    IfExists, NewThread, Page, PruneStrategy, PrunedThreads, Thread, ThreadPatch, ThreadQuery, ThreadState,
    ThreadStatus, ThreadStorage,
};
use langopen_core::storage::Threads;
use langopen_core::tenant::Scope;

use super::Memory;
use super::state::{CheckpointRow, ThreadRow};
use crate::rules::documents;
use crate::rules::thread::{self, StateChange, ThreadChange};

impl ThreadRow {
    pub(super) fn apply(&mut self, change: ThreadChange, now: Timestamp) {
        self.thread.status = change.status;
        self.thread.error = change.error;
        self.thread.interrupts = Some(change.interrupts);
        self.thread.values = change.values.or(self.thread.values.take());
        match change.state {
            StateChange::Leave => {}
            StateChange::Clear => self.state = None,
            StateChange::Set { checkpoint_id, rest } => self.state = Some((checkpoint_id, rest)),
        }
        self.thread.updated_at = now;
        self.thread.state_updated_at = now;
    }

    fn newest_root(&self) -> Option<&String> {
        self.latest("").map(|((_, id), _)| id)
    }

    fn copied(&self, id: ThreadId, now: Timestamp) -> Self {
        let (metadata, config) = (self.thread.metadata.clone(), self.thread.config.clone());
        let mut thread = thread::row(id, metadata, config, self.thread.ttl, now);
        thread.values.clone_from(&self.thread.values);
        let mut copy = Self::new(self.tenant.clone(), thread);
        let foreign = |(key, row): (&(String, String), &CheckpointRow)| {
            (key.clone(), CheckpointRow { run_id: None, metadata: of_thread(&row.metadata, id), ..row.clone() })
        };
        copy.accepted = self.accepted;
        copy.checkpoints = self.checkpoints.iter().map(foreign).collect();
        copy.blobs.clone_from(&self.blobs);
        copy.writes.clone_from(&self.writes);
        copy.writes.values_mut().for_each(|write| write.run_id = None);
        copy
    }
}

/// The metadata of a checkpoint after it is copied to the thread `id`.
fn of_thread(metadata: &RawJson, id: ThreadId) -> RawJson {
    match metadata.decode::<JsonMap>() {
        Ok(mut map) if map.contains_key("thread_id") => {
            map.insert("thread_id".to_owned(), id.to_string().into());
            serde_json::Value::Object(map).into()
        }
        _ => metadata.clone(),
    }
}

#[async_trait]
impl Threads for Memory {
    async fn create_thread(&self, scope: &Scope, new: NewThread, if_exists: IfExists) -> Result<Thread> {
        let mut state = self.state();
        if let Some(row) = state.threads.get(&new.thread_id) {
            return match if_exists {
                IfExists::DoNothing if row.visible(scope) => Ok(row.thread.clone()),
                _ => Err(taken("threads.create", new.thread_id)),
            };
        }
        let thread = thread::row(new.thread_id, new.metadata, JsonMap::new(), new.ttl, self.now());
        state.threads.insert(new.thread_id, ThreadRow::new(scope.tenant.clone(), thread.clone()));
        Ok(thread)
    }

    async fn thread(&self, scope: &Scope, id: ThreadId) -> Result<Option<Thread>> {
        Ok(self.state().thread(scope, id).map(|row| row.thread.clone()))
    }

    async fn update_thread(&self, scope: &Scope, id: ThreadId, patch: ThreadPatch) -> Result<Thread> {
        let mut state = self.state();
        let row = state.thread_mut("threads.update", scope, id)?;
        documents::merge(&mut row.thread.metadata, patch.metadata);
        row.thread.ttl = patch.ttl.or(row.thread.ttl);
        row.thread.updated_at = self.now();
        Ok(row.thread.clone())
    }

    async fn delete_thread(&self, scope: &Scope, id: ThreadId) -> Result<Vec<RunId>> {
        let mut state = self.state();
        state.thread_mut("threads.delete", scope, id)?;
        let gone = state.remove_thread(id);
        self.stop_deleted(&gone);
        Ok(gone)
    }

    async fn search_threads(&self, scope: &Scope, query: &ThreadQuery) -> Result<Page<Thread>> {
        let state = self.state();
        let visible = state.threads.values().filter(|row| row.visible(scope)).map(|row| &row.thread);
        thread::search(visible, query)
    }

    async fn count_threads(&self, scope: &Scope, query: &ThreadQuery) -> Result<u64> {
        let state = self.state();
        Ok(state.threads.values().filter(|row| row.visible(scope) && thread::answers(&row.thread, query)).count()
            as u64)
    }

    async fn copy_thread(&self, scope: &Scope, source: ThreadId, new: ThreadId) -> Result<Thread> {
        let mut state = self.state();
        let now = self.now();
        let copy = state.thread_mut("threads.copy", scope, source)?.copied(new, now);
        if state.threads.contains_key(&new) {
            return Err(taken("threads.copy", new));
        }
        let thread = copy.thread.clone();
        state.threads.insert(new, copy);
        Ok(thread)
    }

    async fn thread_storage(&self, scope: &Scope, id: ThreadId) -> Result<Option<ThreadStorage>> {
        Ok(self.state().thread(scope, id).map(ThreadRow::volumes))
    }

    async fn prune_threads(&self, scope: &Scope, ids: &[ThreadId], strategy: PruneStrategy) -> Result<PrunedThreads> {
        let mut state = self.state();
        let is_there = |id: &ThreadId| state.thread(scope, *id).is_some_and(|row| !row.in_flight());
        let found: BTreeSet<_> = ids.iter().copied().filter(is_there).collect();
        Ok(state.prune(found.into_iter().map(|id| (id, strategy)), self.now()))
    }

    async fn sweep_threads(&self, limit: u32) -> Result<PrunedThreads> {
        let (mut state, now) = (self.state(), self.now());
        let expired = |(id, row): (&ThreadId, &ThreadRow)| {
            let expires_at = row.thread.expires_at().filter(|at| *at <= now && !row.in_flight())?;
            Some((expires_at, *id, row.thread.ttl?.strategy))
        };
        let mut expired: Vec<_> = state.threads.iter().filter_map(expired).collect();
        expired.sort_unstable_by_key(|(expires_at, id, _)| (*expires_at, *id));
        let first = expired.into_iter().take(limit as usize).map(|(_, id, strategy)| (id, strategy));
        Ok(state.prune(first, now))
    }

    async fn latest_state(&self, scope: &Scope, id: ThreadId) -> Result<Option<ThreadState>> {
        let state = self.state();
        let Some(row) = state.thread(scope, id) else { return Ok(None) };
        let (Some((checkpoint_id, rest)), Some(values)) = (&row.state, &row.thread.values) else { return Ok(None) };
        Ok((row.newest_root() == Some(checkpoint_id)).then(|| ThreadState {
            checkpoint_id: checkpoint_id.clone(),
            values: values.clone(),
            rest: rest.clone(),
        }))
    }

    async fn set_thread_state(
        &self,
        scope: &Scope,
        id: ThreadId,
        status: ThreadStatus,
        interrupts: RawJson,
        state: ThreadState,
    ) -> Result<Thread> {
        let mut rows = self.state();
        let row = rows.thread_mut("threads.set_state", scope, id)?;
        if row.in_flight() {
            return Err(Error::conflict("threads.set_state", format!("a run is in flight on thread {id}")));
        }
        let (checkpoint_id, rest) = (state.checkpoint_id, state.rest);
        let change = ThreadChange {
            status,
            error: row.thread.error.take(),
            interrupts,
            values: Some(state.values),
            state: StateChange::Set { checkpoint_id, rest },
        };
        row.apply(change, self.now());
        Ok(row.thread.clone())
    }
}

fn taken(operation: &'static str, id: ThreadId) -> Error {
    Error::new(ErrorKind::AlreadyExists, operation, format!("thread {id} exists already"))
}
