use async_trait::async_trait;
use langopen_core::filter::contains_all;
use langopen_core::model::{CheckpointKey, CheckpointList, CheckpointTuple, NewCheckpoint, PendingWrites};
use langopen_core::queue::Lease;
use langopen_core::storage::Checkpoints;
use langopen_core::{JsonMap, Result, RunId, Scope, ThreadId};

use crate::MyBackend;
use crate::history::History;

/// The lease that a write names.
fn lease(run_id: Option<RunId>, attempt: Option<u32>) -> Option<Lease> {
    run_id.zip(attempt).map(|(run_id, attempt)| Lease { run_id, attempt })
}

fn in_namespace(row: &NewCheckpoint, list: &CheckpointList) -> bool {
    list.checkpoint_ns.as_ref().is_none_or(|ns| *ns == row.checkpoint_ns)
}

fn answers(row: &NewCheckpoint, list: &CheckpointList) -> bool {
    in_namespace(row, list)
        && list.checkpoint_id.as_ref().is_none_or(|id| *id == row.checkpoint_id)
        && (list.metadata.is_empty()
            || row.metadata.decode::<JsonMap>().is_ok_and(|metadata| contains_all(&metadata, &list.metadata)))
}

/// The position at which `before` cuts the list: that of the checkpoint, or of the first one with a greater id.
fn end_of(history: &History, list: &CheckpointList) -> usize {
    let all = history.checkpoints.len();
    let Some(before) = &list.before else { return all };
    let first = |fits: &dyn Fn(&String) -> bool| {
        history.checkpoints.iter().position(|row| in_namespace(row, list) && fits(&row.checkpoint_id))
    };
    first(&|id| id == before).or_else(|| first(&|id| id > before)).unwrap_or(all)
}

#[async_trait]
impl Checkpoints for MyBackend {
    async fn checkpoint(&self, scope: &Scope, key: &CheckpointKey) -> Result<Option<CheckpointTuple>> {
        let state = self.state();
        let Some(thread) = state.thread(scope, key.thread_id) else { return Ok(None) };
        let (history, ns) = (&thread.history, &key.checkpoint_ns);
        let latest = history.latest(ns);
        let found = match &key.checkpoint_id {
            Some(id) => history.find(ns, id),
            None => latest,
        };
        let latest_id = latest.map(|row| row.checkpoint_id.clone());
        Ok(found.map(|row| CheckpointTuple { latest_id, ..history.tuple(row) }))
    }

    async fn list_checkpoints(
        &self,
        scope: &Scope,
        thread_id: ThreadId,
        list: &CheckpointList,
    ) -> Result<Vec<CheckpointTuple>> {
        let state = self.state();
        let Some(thread) = state.thread(scope, thread_id) else { return Ok(Vec::new()) };
        let history = &thread.history;
        let latest_first = history.checkpoints[..end_of(history, list)].iter().rev();
        let limit = list.limit.map_or(usize::MAX, |limit| limit as usize);
        Ok(latest_first.filter(|row| answers(row, list)).take(limit).map(|row| history.tuple(row)).collect())
    }

    async fn put_checkpoint(&self, scope: &Scope, new: NewCheckpoint) -> Result<()> {
        const OPERATION: &str = "checkpoints.put";
        let mut state = self.state();
        state.must_hold(OPERATION, lease(new.run_id, new.attempt))?;
        let thread = state.thread_mut(OPERATION, scope, new.thread_id)?;
        thread.forget_state_of(&new.checkpoint_ns, &new.checkpoint_id);
        thread.history.put(new);
        Ok(())
    }

    async fn put_writes(&self, scope: &Scope, writes: PendingWrites) -> Result<()> {
        const OPERATION: &str = "checkpoints.put_writes";
        let mut state = self.state();
        state.must_hold(OPERATION, lease(writes.run_id, writes.attempt))?;
        let thread = state.thread_mut(OPERATION, scope, writes.thread_id)?;
        thread.forget_state_of(&writes.checkpoint_ns, &writes.checkpoint_id);
        thread.history.put_writes(writes);
        Ok(())
    }

    async fn delete_checkpoints(&self, scope: &Scope, thread_id: ThreadId, lease: Option<Lease>) -> Result<()> {
        const OPERATION: &str = "checkpoints.delete";
        let mut state = self.state();
        state.must_hold(OPERATION, lease)?;
        if let Ok(thread) = state.thread_mut(OPERATION, scope, thread_id) {
            thread.history = History::default();
            thread.state = None;
        }
        Ok(())
    }
}
