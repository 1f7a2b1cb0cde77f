//! The checkpoints of one thread.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use langopen_backends::rules::history::{Newest, computed_before, computed_channels, reachable};
use langopen_core::model::{
    ChannelValue, CheckpointTuple, NewCheckpoint, PendingWrite, PendingWrites, ThreadStorage, Volume,
};
use langopen_core::{JsonMap, RawJson, RunId, ThreadId};

/// A checkpoint's namespace and id.
pub(crate) type Key = (String, String);

pub(crate) fn key_of(row: &NewCheckpoint) -> Key {
    (row.checkpoint_ns.clone(), row.checkpoint_id.clone())
}

/// The checkpoints of a thread with their blobs and writes.
#[derive(Clone, Default)]
pub(crate) struct History {
    /// In the order in which the thread accepted them, so the last one of a namespace is its latest. A row is the
    /// request that stored it, without the blobs.
    pub(crate) checkpoints: Vec<NewCheckpoint>,
    /// The encoding and the bytes of a channel, by namespace, channel and version.
    blobs: BTreeMap<(String, String, String), (String, Bytes)>,
    /// By checkpoint, task and index.
    writes: BTreeMap<(Key, String, i64), WriteRow>,
}

#[derive(Clone)]
struct WriteRow {
    run_id: Option<RunId>,
    task_path: String,
    write: PendingWrite,
}

fn decoded(metadata: &RawJson) -> JsonMap {
    metadata.decode().unwrap_or_default()
}

impl History {
    pub(crate) fn is_empty(&self) -> bool {
        self.checkpoints.is_empty()
    }

    /// The latest checkpoint of a namespace.
    pub(crate) fn latest(&self, ns: &str) -> Option<&NewCheckpoint> {
        self.checkpoints.iter().rfind(|row| row.checkpoint_ns == ns)
    }

    pub(crate) fn find(&self, ns: &str, id: &str) -> Option<&NewCheckpoint> {
        self.checkpoints.iter().find(|row| row.checkpoint_ns == ns && row.checkpoint_id == id)
    }

    /// A checkpoint as callers read it, with its values and writes.
    pub(crate) fn tuple(&self, row: &NewCheckpoint) -> CheckpointTuple {
        let value = |(channel, version): &(String, String)| {
            let (kind, bytes) = self.blobs.get(&(row.checkpoint_ns.clone(), channel.clone(), version.clone()))?;
            let value = ChannelValue { channel: channel.clone(), kind: kind.clone(), bytes: bytes.clone() };
            Some(value).filter(|value| value.kind != "empty")
        };
        let key = key_of(row);
        let mut writes: Vec<_> = self.writes.iter().filter(|((at, ..), _)| *at == key).map(|(_, row)| row).collect();
        // The sort is stable, and the table sorts by task and index.
        writes.sort_by_key(|row| &row.task_path);
        CheckpointTuple {
            thread_id: row.thread_id,
            checkpoint_ns: row.checkpoint_ns.clone(),
            checkpoint_id: row.checkpoint_id.clone(),
            parent_checkpoint_id: row.parent_checkpoint_id.clone(),
            latest_id: None,
            kind: row.kind.clone(),
            bytes: row.bytes.clone(),
            metadata: row.metadata.clone(),
            channel_values: row.channel_versions.iter().filter_map(value).collect(),
            pending_writes: writes.into_iter().map(|row| row.write.clone()).collect(),
        }
    }

    /// Stores a checkpoint as the latest of its namespace. One that exists keeps its position.
    pub(crate) fn put(&mut self, mut new: NewCheckpoint) {
        for blob in std::mem::take(&mut new.blobs) {
            let key = (new.checkpoint_ns.clone(), blob.channel, blob.version);
            self.blobs.entry(key).or_insert((blob.kind, blob.bytes));
        }
        let key = key_of(&new);
        match self.checkpoints.iter_mut().find(|row| key_of(row) == key) {
            Some(row) => {
                *row = new;
                self.remove_unused_blobs();
            }
            None => self.checkpoints.push(new),
        }
    }

    /// Stores the writes of a task. A write stays as it is unless its index is negative.
    pub(crate) fn put_writes(&mut self, new: PendingWrites) {
        let (run_id, at) = (new.run_id, (new.checkpoint_ns, new.checkpoint_id));
        for write in new.writes {
            let key = (at.clone(), write.task_id.clone(), write.index);
            if write.index < 0 || !self.writes.contains_key(&key) {
                self.writes.insert(key, WriteRow { run_id, task_path: new.task_path.clone(), write });
            }
        }
    }

    /// Removes everything that a run made: its checkpoints with all their writes, and its writes on other checkpoints.
    pub(crate) fn remove_run(&mut self, run_id: RunId) {
        let removed = self.checkpoints.extract_if(.., |row| row.run_id == Some(run_id));
        let removed: BTreeSet<_> = removed.map(|row| key_of(&row)).collect();
        self.writes.retain(|(at, ..), row| row.run_id != Some(run_id) && !removed.contains(at));
        self.remove_unused_blobs();
    }

    fn remove_unused_blobs(&mut self) {
        let versions = |row: &NewCheckpoint| {
            let ns = row.checkpoint_ns.clone();
            row.channel_versions.clone().into_iter().map(move |(channel, version)| (ns.clone(), channel, version))
        };
        let used: BTreeSet<_> = self.checkpoints.iter().flat_map(versions).collect();
        self.blobs.retain(|key, _| used.contains(key));
    }

    /// Removes all checkpoints except the latest ones that a reader can reach, and those that they are computed from.
    pub(crate) fn cut(&mut self) {
        let namespaces: BTreeSet<_> = self.checkpoints.iter().map(|row| &row.checkpoint_ns).collect();
        let latest = namespaces.into_iter().filter_map(|ns| self.latest(ns)).map(|row| {
            let (checkpoint_ns, checkpoint_id) = key_of(row);
            Newest { checkpoint_ns, checkpoint_id, metadata: decoded(&row.metadata) }
        });
        let mut stays = BTreeSet::new();
        for newest in reachable(latest.collect()) {
            self.add_with_ancestors(&newest, &mut stays);
        }
        self.checkpoints.retain(|row| stays.contains(&key_of(row)));
        self.writes.retain(|(at, ..), _| stays.contains(at));
        self.remove_unused_blobs();
    }

    /// Adds a checkpoint and the ancestors whose writes it needs.
    fn add_with_ancestors(&self, newest: &Newest, stays: &mut BTreeSet<Key>) {
        let mut needed = computed_channels(&newest.metadata);
        let mut next = self.find(&newest.checkpoint_ns, &newest.checkpoint_id);
        while let Some(row) = next {
            // A checkpoint that is its own ancestor is in the set already.
            if !stays.insert(key_of(row)) || needed.is_empty() {
                return;
            }
            next = row.parent_checkpoint_id.as_ref().and_then(|id| self.find(&row.checkpoint_ns, id));
            needed = next.map(|parent| computed_before(needed, &decoded(&parent.metadata))).unwrap_or_default();
        }
    }

    /// The same history on another thread. It belongs to no run there.
    pub(crate) fn copied_to(&self, thread_id: ThreadId) -> Self {
        let mut copy = self.clone();
        for row in &mut copy.checkpoints {
            (row.thread_id, row.run_id, row.attempt) = (thread_id, None, None);
            let mut metadata = decoded(&row.metadata);
            if metadata.contains_key("thread_id") {
                metadata.insert("thread_id".to_owned(), thread_id.to_string().into());
                row.metadata = serde_json::Value::Object(metadata).into();
            }
        }
        copy.writes.values_mut().for_each(|row| row.run_id = None);
        copy
    }

    /// The storage space of the history.
    pub(crate) fn storage(&self) -> ThreadStorage {
        fn add(volume: &mut Volume, bytes: usize) {
            volume.count += 1;
            volume.bytes += bytes as u64;
        }
        let mut storage = ThreadStorage::default();
        for row in &self.checkpoints {
            add(&mut storage.checkpoints, row.bytes.len() + row.metadata.as_str().len());
        }
        for row in self.writes.values() {
            add(&mut storage.pending_writes, row.write.bytes.len());
        }
        for ((_, channel, _), (_, bytes)) in &self.blobs {
            add(storage.channels.entry(channel.clone()).or_default(), bytes.len());
        }
        storage
    }
}
