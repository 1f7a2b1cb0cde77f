//! Deletes threads, or cuts their history.

use std::collections::{BTreeSet, HashSet};

use langopen_core::clock::Timestamp;
use langopen_core::ids::ThreadId;
use langopen_core::json::JsonMap;
use langopen_core::model::{PruneStrategy, PrunedThreads, ThreadStorage, Volume};

use super::state::{State, ThreadRow};
use crate::rules::history::{self, Newest};

impl State {
    pub(super) fn prune(
        &mut self,
        threads: impl Iterator<Item = (ThreadId, PruneStrategy)>,
        now: Timestamp,
    ) -> PrunedThreads {
        let mut done = PrunedThreads::default();
        for (id, strategy) in threads {
            match strategy {
                PruneStrategy::Delete => {
                    self.remove_thread(id);
                    done.deleted.push(id);
                }
                PruneStrategy::KeepLatest => {
                    if let Some(row) = self.threads.get_mut(&id) {
                        row.cut(now);
                        done.cut.push(id);
                    }
                }
            }
        }
        done
    }
}

fn add(volume: &mut Volume, bytes: usize) {
    volume.count += 1;
    volume.bytes += bytes as u64;
}

impl ThreadRow {
    /// The number and size of the thread's checkpoints, writes and channel values.
    pub(super) fn volumes(&self) -> ThreadStorage {
        let mut storage = ThreadStorage::default();
        for row in self.checkpoints.values() {
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

    /// Removes all checkpoints except the newest reachable ones and the ancestors that they are computed from.
    fn cut(&mut self, now: Timestamp) {
        let namespaces: BTreeSet<_> = self.checkpoints.keys().map(|(ns, _)| ns.as_str()).collect();
        let latest = namespaces.into_iter().filter_map(|ns| self.latest(ns));
        let newest = latest.map(|((checkpoint_ns, checkpoint_id), row)| {
            let metadata = row.metadata.decode().unwrap_or_default();
            Newest { checkpoint_ns: checkpoint_ns.clone(), checkpoint_id: checkpoint_id.clone(), metadata }
        });
        let newest: Vec<_> = newest.collect();
        let mut kept = HashSet::new();
        for each in history::reachable(newest) {
            self.add_ancestors(&each, &mut kept);
            kept.insert((each.checkpoint_ns, each.checkpoint_id));
        }
        self.checkpoints.retain(|key, _| kept.contains(key));
        self.writes.retain(|(ns, id, _, _), _| kept.contains(&(ns.clone(), id.clone())));
        self.prune_blobs();
        self.thread.pruned_at = Some(now);
    }

    /// Adds to `kept` the ancestors that a checkpoint is computed from.
    fn add_ancestors(&self, newest: &Newest, kept: &mut HashSet<(String, String)>) {
        let mut needed = history::computed_channels(&newest.metadata);
        let mut child = (newest.checkpoint_ns.clone(), newest.checkpoint_id.clone());
        while !needed.is_empty()
            && let Some(parent) = self.checkpoints.get(&child).and_then(|row| row.parent_checkpoint_id.clone())
            && let Some(row) = self.checkpoints.get(&(newest.checkpoint_ns.clone(), parent.clone()))
        {
            child.1 = parent;
            needed = history::computed_before(needed, &row.metadata.decode::<JsonMap>().unwrap_or_default());
            // Without this check, a checkpoint that is its own ancestor would loop forever.
            if !kept.insert(child.clone()) {
                break;
            }
        }
    }
}
