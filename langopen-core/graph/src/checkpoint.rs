//! Checkpoints of graphs, and their stored form: JSON, with one blob for each version of a channel.

use std::collections::BTreeMap;

use bytes::Bytes;
use langopen_core::clock::{Clock, Timestamp};
use langopen_core::error::{Error, Result};
use langopen_core::ids::ThreadId;
use langopen_core::json::{JsonMap, RawJson};
use langopen_core::model::{Blob, CheckpointTuple, NewCheckpoint, PendingWrite, PendingWrites};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::Shape;
use super::plan::{Write, index_of};

/// The serialiser's name in the checkpoints of Rust graphs.
const KIND: &str = "json";
/// The kind of a channel without a value.
const EMPTY: &str = "empty";
/// The node part of checkpoint ids. The ids are UUIDs of version 6, as in LangGraph.
const NODE: [u8; 6] = *b"LangOp";

/// The channels at one moment, and the versions that each node has seen.
#[derive(Debug, Clone)]
pub(super) struct Checkpoint {
    pub(super) id: String,
    /// The greatest known id of the namespace. The next id is above it, whatever the clock shows.
    pub(super) greatest_id: String,
    pub(super) created_at: Timestamp,
    pub(super) values: JsonMap,
    pub(super) versions: BTreeMap<String, String>,
    pub(super) seen: BTreeMap<String, BTreeMap<String, String>>,
}

/// A checkpoint with its metadata and writes.
#[derive(Debug, Clone)]
pub(super) struct Saved {
    pub(super) checkpoint: Checkpoint,
    /// The metadata, as states show it.
    pub(super) metadata: JsonMap,
    pub(super) parent_id: Option<String>,
    /// The writes of tasks that follow the checkpoint.
    pub(super) pending: Vec<Pending>,
}

/// A write of a task whose step is not complete.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) task_id: String,
    pub(super) write: Write,
}

#[derive(Serialize, Deserialize)]
struct Body {
    ts: Timestamp,
    channel_versions: BTreeMap<String, String>,
    versions_seen: BTreeMap<String, BTreeMap<String, String>>,
}

/// The storage location of one graph's checkpoints.
pub(super) struct Location<'a> {
    pub(super) thread_id: ThreadId,
    pub(super) namespace: &'a str,
}

impl Checkpoint {
    /// The checkpoint before the first step: the start values of the channels.
    pub(super) fn first(shape: &Shape, clock: &dyn Clock) -> Self {
        let id = Uuid::now_v6(&NODE).to_string();
        let mut checkpoint = Self {
            greatest_id: id.clone(),
            id,
            created_at: clock.now(),
            values: JsonMap::new(),
            versions: BTreeMap::new(),
            seen: BTreeMap::new(),
        };
        checkpoint.fill(shape);
        checkpoint
    }

    /// Makes this the next checkpoint: the same channels, a new id.
    pub(super) fn renew(&mut self, clock: &dyn Clock) {
        self.id = id_above(&self.greatest_id);
        self.greatest_id.clone_from(&self.id);
        self.created_at = clock.now();
    }

    fn fill(&mut self, shape: &Shape) {
        for (name, kind) in &shape.channels {
            if let (false, Some(start)) = (self.values.contains_key(name), kind.start()) {
                self.values.insert(name.clone(), start);
            }
        }
    }

    /// The next channel version, above all others. Its random part distinguishes two branches of a thread.
    pub(super) fn next_version(&self) -> String {
        let count = self.versions.values().filter_map(|version| version.split('.').next()?.parse::<u64>().ok()).max();
        let random = Uuid::new_v4().as_u128() % 10_000_000_000_000_000;
        format!("{:032}.{random:016}", count.unwrap_or(0) + 1)
    }

    /// The channels that clients see, in the graph's order.
    pub(super) fn state(&self, shape: &Shape) -> JsonMap {
        let named = shape.channels.iter().filter_map(|(name, _)| Some((name.clone(), self.values.get(name)?.clone())));
        let mut state: JsonMap = named.collect();
        if shape.open {
            let others = self.values.iter().filter(|(name, _)| shape.is_public(name));
            state.extend(others.map(|(name, value)| (name.clone(), value.clone())));
        }
        state
    }
}

/// A new id above `earlier`. It carries this machine's clock, unless that clock is behind the one in `earlier`.
fn id_above(earlier: &str) -> String {
    let new = Uuid::now_v6(&NODE);
    let ticks = |id: Uuid| id.get_timestamp().map(|at| at.to_gregorian());
    let earlier: Option<Uuid> = earlier.parse().ok().filter(|earlier: &Uuid| earlier.get_version_num() == 6);
    let above = match (earlier.and_then(ticks), ticks(new)) {
        (Some((earlier, counter)), Some((now, _))) if now <= earlier => {
            Uuid::new_v6(uuid::Timestamp::from_gregorian_time(earlier + 1, counter), &NODE)
        }
        _ => new,
    };
    above.to_string()
}

impl Saved {
    /// Decodes a stored checkpoint.
    pub(super) fn read(shape: &Shape, tuple: CheckpointTuple) -> Result<Self> {
        let body: Body = decode(&tuple.kind, &tuple.bytes)?;
        let mut values = JsonMap::new();
        for channel in tuple.channel_values {
            values.insert(channel.channel, decode(&channel.kind, &channel.bytes)?);
        }
        let pending = tuple.pending_writes.into_iter().map(|write| {
            let value = decode(&write.kind, &write.bytes)?;
            Ok(Pending { task_id: write.task_id, write: Write { channel: write.channel, value } })
        });
        let mut checkpoint = Checkpoint {
            greatest_id: tuple.latest_id.into_iter().fold(tuple.checkpoint_id.clone(), String::max),
            id: tuple.checkpoint_id,
            created_at: body.ts,
            values,
            versions: body.channel_versions,
            seen: body.versions_seen,
        };
        checkpoint.fill(shape);
        let pending = pending.collect::<Result<_>>()?;
        let metadata = tuple.metadata.decode().map_err(damaged)?;
        Ok(Self { checkpoint, metadata, parent_id: tuple.parent_checkpoint_id, pending })
    }

    /// The number of the checkpoint's step; -1 before the first step.
    pub(super) fn step(&self) -> i64 {
        self.metadata.get("step").and_then(Value::as_i64).unwrap_or(-1)
    }

    pub(super) fn source(&self) -> Option<&str> {
        self.metadata.get("source").and_then(Value::as_str)
    }

    /// Encodes the checkpoint for the storage; `known` holds the versions that are already stored. The execution
    /// context adds the lease.
    pub(super) fn encoded(&self, location: &Location<'_>, known: &BTreeMap<String, String>) -> Result<NewCheckpoint> {
        let Checkpoint { id, greatest_id: _, created_at, values, versions, seen } = &self.checkpoint;
        let changed = versions.iter().filter(|(channel, version)| known.get(*channel) != Some(version));
        let blobs = changed.map(|(channel, version)| {
            let (kind, bytes) = match values.get(channel) {
                Some(value) => (KIND, encode(value)?),
                None => (EMPTY, Bytes::new()),
            };
            Ok(Blob { channel: channel.clone(), version: version.clone(), kind: kind.to_owned(), bytes })
        });
        let body = Body { ts: *created_at, channel_versions: versions.clone(), versions_seen: seen.clone() };
        Ok(NewCheckpoint {
            thread_id: location.thread_id,
            checkpoint_ns: location.namespace.to_owned(),
            checkpoint_id: id.clone(),
            parent_checkpoint_id: self.parent_id.clone(),
            run_id: None,
            attempt: None,
            kind: KIND.to_owned(),
            bytes: encode(&body)?,
            metadata: RawJson::from(Value::Object(self.metadata.clone())),
            channel_versions: versions.iter().map(|(channel, version)| (channel.clone(), version.clone())).collect(),
            blobs: blobs.collect::<Result<_>>()?,
        })
    }
}

/// Encodes the writes of a task for the storage.
pub(super) fn encoded_writes(
    location: &Location<'_>,
    checkpoint_id: &str,
    task_id: &str,
    task_path: &str,
    writes: &[Write],
) -> Result<PendingWrites> {
    let row = |(at, write): (usize, &Write)| {
        let index = index_of(&write.channel).unwrap_or_else(|| i64::try_from(at).unwrap_or(i64::MAX));
        let (task_id, channel) = (task_id.to_owned(), write.channel.clone());
        Ok(PendingWrite { task_id, index, channel, kind: KIND.to_owned(), bytes: encode(&write.value)? })
    };
    Ok(PendingWrites {
        thread_id: location.thread_id,
        checkpoint_ns: location.namespace.to_owned(),
        checkpoint_id: checkpoint_id.to_owned(),
        run_id: None,
        attempt: None,
        task_path: task_path.to_owned(),
        writes: writes.iter().enumerate().map(row).collect::<Result<_>>()?,
    })
}

fn encode(value: &impl Serialize) -> Result<Bytes> {
    let bytes = serde_json::to_vec(value);
    bytes.map(Bytes::from).map_err(|error| Error::internal("graph.keep", "a state has no JSON form").with_source(error))
}

fn decode<T: serde::de::DeserializeOwned>(kind: &str, bytes: &[u8]) -> Result<T> {
    if kind != KIND {
        let what =
            format!("a checkpoint of this thread is encoded as {kind:?}: it was made by a graph in another language");
        return Err(Error::new(langopen_core::ErrorKind::Graph, "graph.read", what));
    }
    serde_json::from_slice(bytes).map_err(damaged)
}

fn damaged(error: serde_json::Error) -> Error {
    Error::internal("graph.read", "a checkpoint of this thread cannot be read").with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_above_the_earlier_one_whatever_the_clock_says() {
        let (ahead, _) = Uuid::now_v6(&NODE).get_timestamp().unwrap().to_gregorian();
        let ahead = Uuid::new_v6(uuid::Timestamp::from_gregorian_time(ahead + 36_000_000_000, 7), &NODE).to_string();
        let next = id_above(&ahead);
        let after = id_above(&next);
        assert!(next > ahead && after > next, "{ahead} {next} {after}");
        for earlier in ["", "1", "no id"] {
            assert!(id_above(earlier) < ahead, "the machine's clock is used where nothing is ahead of it");
        }
    }
}
