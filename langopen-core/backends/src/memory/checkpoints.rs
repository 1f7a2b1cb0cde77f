use std::collections::HashSet;

use async_trait::async_trait;
use langopen_core::error::Result;
use langopen_core::filter::contains_all;
use langopen_core::ids::{RunId, ThreadId};
use langopen_core::json::JsonMap;
use langopen_core::model::{
    ChannelValue, CheckpointKey, CheckpointList, CheckpointTuple, NewCheckpoint, PendingWrite, PendingWrites,
};
use langopen_core::queue::Lease;
use langopen_core::storage::Checkpoints;
use langopen_core::tenant::Scope;

use super::Memory;
use super::state::{CheckpointRow, ThreadRow, WriteRow};

impl ThreadRow {
    /// The latest checkpoint of a namespace, i.e. the one that the thread accepted last.
    pub(super) fn latest(&self, ns: &str) -> Option<(&(String, String), &CheckpointRow)> {
        let from = (ns.to_owned(), String::new());
        self.checkpoints.range(from..).take_while(|((at, _), _)| at == ns).max_by_key(|(_, row)| row.position)
    }

    fn tuple(&self, ns: &str, id: &str, row: &CheckpointRow) -> CheckpointTuple {
        let value = |(channel, version): &(String, String)| {
            let (kind, bytes) = self.blobs.get(&(ns.to_owned(), channel.clone(), version.clone()))?;
            let value = ChannelValue { channel: channel.clone(), kind: kind.clone(), bytes: bytes.clone() };
            (kind != "empty").then_some(value)
        };
        CheckpointTuple {
            thread_id: self.thread.thread_id,
            checkpoint_ns: ns.to_owned(),
            checkpoint_id: id.to_owned(),
            parent_checkpoint_id: row.parent_checkpoint_id.clone(),
            latest_id: None,
            kind: row.kind.clone(),
            bytes: row.bytes.clone(),
            metadata: row.metadata.clone(),
            channel_values: row.channel_versions.iter().filter_map(value).collect(),
            pending_writes: self.writes_of(ns, id),
        }
    }

    fn writes_of(&self, ns: &str, id: &str) -> Vec<PendingWrite> {
        let from = (ns.to_owned(), id.to_owned(), String::new(), i64::MIN);
        let mut rows: Vec<_> =
            self.writes.range(from..).take_while(|(key, _)| key.0 == ns && key.1 == id).map(|(_, row)| row).collect();
        // The map already sorts by task and index, and this sort is stable.
        rows.sort_by(|a, b| a.task_path.cmp(&b.task_path));
        rows.into_iter().map(|row| row.write.clone()).collect()
    }

    /// Removes the blobs that no checkpoint refers to.
    pub(super) fn prune_blobs(&mut self) {
        let named: HashSet<_> = self
            .checkpoints
            .iter()
            .flat_map(|((ns, _), row)| {
                row.channel_versions.iter().map(move |(channel, version)| (ns, channel, version))
            })
            .collect();
        self.blobs.retain(|(ns, channel, version), _| named.contains(&(ns, channel, version)));
    }

    /// Removes the run's checkpoints with their writes and blobs, and the run's writes on other checkpoints.
    pub(super) fn remove_checkpoints_of(&mut self, run_id: RunId) {
        let (mut checkpoints, mut removed) = (std::mem::take(&mut self.checkpoints), HashSet::new());
        checkpoints.retain(|key, row| {
            let keep = row.run_id != Some(run_id);
            if !keep {
                removed.insert(key.clone());
            }
            keep
        });
        self.checkpoints = checkpoints;
        self.writes.retain(|(ns, id, _, _), write| {
            write.run_id != Some(run_id) && !removed.contains(&(ns.clone(), id.clone()))
        });
        self.state.take_if(|(id, _)| removed.contains(&(String::new(), id.clone())));
        self.prune_blobs();
    }

    /// Deletes the stored latest state if it describes the checkpoint that changes.
    fn touch(&mut self, ns: &str, checkpoint_id: &str) {
        self.state.take_if(|(id, _)| ns.is_empty() && id == checkpoint_id);
    }
}

#[async_trait]
impl Checkpoints for Memory {
    async fn checkpoint(&self, scope: &Scope, key: &CheckpointKey) -> Result<Option<CheckpointTuple>> {
        let state = self.state();
        let Some(thread) = state.thread(scope, key.thread_id) else { return Ok(None) };
        let ns = &key.checkpoint_ns;
        let latest = thread.latest(ns);
        let found = match &key.checkpoint_id {
            Some(id) => thread.checkpoints.get_key_value(&(ns.clone(), id.clone())),
            None => latest,
        };
        let latest_id = latest.map(|((_, id), _)| id.clone());
        Ok(found.map(|((ns, id), row)| CheckpointTuple { latest_id, ..thread.tuple(ns, id, row) }))
    }

    async fn list_checkpoints(
        &self,
        scope: &Scope,
        thread_id: ThreadId,
        list: &CheckpointList,
    ) -> Result<Vec<CheckpointTuple>> {
        let state = self.state();
        let Some(thread) = state.thread(scope, thread_id) else { return Ok(Vec::new()) };
        let in_list = |ns: &String| list.checkpoint_ns.as_ref().is_none_or(|wanted| wanted == ns);
        let before = list.before.as_ref().map(|before| {
            let rows = || thread.checkpoints.iter().filter(|((ns, _), _)| in_list(ns));
            let named = rows().filter(|((_, id), _)| id == before).map(|(_, row)| row.position).min();
            let above = || rows().filter(|((_, id), _)| id > before).map(|(_, row)| row.position).min();
            named.or_else(above).unwrap_or(u64::MAX)
        });
        let mut found: Vec<_> = thread
            .checkpoints
            .iter()
            .filter(|((ns, id), row)| {
                in_list(ns)
                    && list.checkpoint_id.as_ref().is_none_or(|wanted| wanted == id)
                    && before.is_none_or(|before| row.position < before)
                    && (list.metadata.is_empty()
                        || row.metadata.decode::<JsonMap>().is_ok_and(|held| contains_all(&held, &list.metadata)))
            })
            .collect();
        found.sort_by_key(|(_, row)| std::cmp::Reverse(row.position));
        found.truncate(list.limit.map_or(usize::MAX, |limit| limit as usize));
        Ok(found.into_iter().map(|((ns, id), row)| thread.tuple(ns, id, row)).collect())
    }

    async fn put_checkpoint(&self, scope: &Scope, new: NewCheckpoint) -> Result<()> {
        let mut state = self.state();
        state.must_be_current("checkpoints.put", new.run_id, new.attempt)?;
        let thread = state.thread_mut("checkpoints.put", scope, new.thread_id)?;
        thread.touch(&new.checkpoint_ns, &new.checkpoint_id);
        for blob in new.blobs {
            let key = (new.checkpoint_ns.clone(), blob.channel, blob.version);
            thread.blobs.entry(key).or_insert((blob.kind, blob.bytes));
        }
        thread.accepted += 1;
        let accepted = thread.accepted;
        let key = (new.checkpoint_ns, new.checkpoint_id);
        let row = CheckpointRow {
            position: thread.checkpoints.get(&key).map_or(accepted, |row| row.position),
            parent_checkpoint_id: new.parent_checkpoint_id,
            run_id: new.run_id,
            kind: new.kind,
            bytes: new.bytes,
            metadata: new.metadata,
            channel_versions: new.channel_versions,
        };
        if thread.checkpoints.insert(key, row).is_some() {
            thread.prune_blobs();
        }
        Ok(())
    }

    async fn put_writes(&self, scope: &Scope, writes: PendingWrites) -> Result<()> {
        let mut state = self.state();
        state.must_be_current("checkpoints.put_writes", writes.run_id, writes.attempt)?;
        let thread = state.thread_mut("checkpoints.put_writes", scope, writes.thread_id)?;
        thread.touch(&writes.checkpoint_ns, &writes.checkpoint_id);
        for write in writes.writes {
            let (ns, id) = (writes.checkpoint_ns.clone(), writes.checkpoint_id.clone());
            let (key, special) = ((ns, id, write.task_id.clone(), write.index), write.index < 0);
            let row = WriteRow { run_id: writes.run_id, task_path: writes.task_path.clone(), write };
            if special {
                thread.writes.insert(key, row);
            } else {
                thread.writes.entry(key).or_insert(row);
            }
        }
        Ok(())
    }

    async fn delete_checkpoints(&self, scope: &Scope, thread_id: ThreadId, lease: Option<Lease>) -> Result<()> {
        let mut state = self.state();
        state.must_hold("checkpoints.delete", lease)?;
        if let Ok(thread) = state.thread_mut("checkpoints.delete", scope, thread_id) {
            thread.checkpoints.clear();
            thread.blobs.clear();
            thread.writes.clear();
            thread.state = None;
        }
        Ok(())
    }
}
