//! Checkpoints, in the graph library's own bytes.
//!
//! A checkpoint id carries the clock of the host that made it, and hosts' clocks differ. So no id decides which
//! checkpoint is the latest: the storage does, by the order in which it accepts checkpoints
//! ([`Checkpoints`](crate::storage::Checkpoints)). Hosts keep ids in the same order for the clients that sort by them:
//! a host makes no id that is below [`CheckpointTuple::checkpoint_id`] or [`CheckpointTuple::latest_id`] of a
//! checkpoint that it has read.

use crate::ids::{RunId, ThreadId};
use crate::json::{JsonMap, RawJson};

/// Names a checkpoint; without `checkpoint_id`, the latest of its namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CheckpointKey {
    /// The thread.
    pub thread_id: ThreadId,
    /// The graph's namespace: empty for the root, else the path of subgraph tasks.
    pub checkpoint_ns: String,
    /// The id.
    pub checkpoint_id: Option<String>,
}

/// One channel's value at one version. Blobs are shared by all checkpoints that name that version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// The channel.
    pub channel: String,
    /// Its version, as text.
    pub version: String,
    /// The serialiser's name of the encoding; `empty` for a channel that holds nothing.
    pub kind: String,
    /// The encoded value.
    pub bytes: bytes::Bytes,
}

/// A checkpoint to be kept.
#[derive(Debug, Clone)]
pub struct NewCheckpoint {
    /// The thread.
    pub thread_id: ThreadId,
    /// The namespace.
    pub checkpoint_ns: String,
    /// The id.
    pub checkpoint_id: String,
    /// The checkpoint before it.
    pub parent_checkpoint_id: Option<String>,
    /// The run that made it; `None` for a state update.
    pub run_id: Option<RunId>,
    /// The attempt of the run. The storage keeps the checkpoint only while this attempt holds the run's lease.
    pub attempt: Option<u32>,
    /// The serialiser's name of the encoding.
    pub kind: String,
    /// The checkpoint without its channel values.
    pub bytes: bytes::Bytes,
    /// The checkpoint's metadata, a JSON object.
    pub metadata: RawJson,
    /// The version of each channel that it holds.
    pub channel_versions: Vec<(String, String)>,
    /// The values of the channels that are new in it.
    pub blobs: Vec<Blob>,
}

/// One channel's value in a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelValue {
    /// The channel.
    pub channel: String,
    /// The encoding.
    pub kind: String,
    /// The encoded value.
    pub bytes: bytes::Bytes,
}

/// What a task wrote before its step was complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingWrite {
    /// The task.
    pub task_id: String,
    /// The place among the task's writes; negative for the special ones, which replace what was there.
    pub index: i64,
    /// The channel.
    pub channel: String,
    /// The encoding.
    pub kind: String,
    /// The encoded value.
    pub bytes: bytes::Bytes,
}

/// Writes of one task to be kept with a checkpoint.
#[derive(Debug, Clone)]
pub struct PendingWrites {
    /// The thread.
    pub thread_id: ThreadId,
    /// The namespace.
    pub checkpoint_ns: String,
    /// The checkpoint they follow.
    pub checkpoint_id: String,
    /// The run that made them.
    pub run_id: Option<RunId>,
    /// The attempt of the run. The storage keeps the writes only while this attempt holds the run's lease.
    pub attempt: Option<u32>,
    /// The task's path, for ordering.
    pub task_path: String,
    /// The writes.
    pub writes: Vec<PendingWrite>,
}

/// A checkpoint with everything that belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckpointTuple {
    /// The thread.
    pub thread_id: ThreadId,
    /// The namespace.
    pub checkpoint_ns: String,
    /// The id.
    pub checkpoint_id: String,
    /// The checkpoint before it.
    pub parent_checkpoint_id: Option<String>,
    /// The id of the latest checkpoint of the namespace.
    /// [`Checkpoints::checkpoint`](crate::storage::Checkpoints::checkpoint) sets it, lists do not.
    ///
    /// Whoever continues from an older checkpoint needs it, so that the new id is above all others.
    pub latest_id: Option<String>,
    /// The encoding of `bytes`.
    pub kind: String,
    /// The checkpoint without its channel values.
    pub bytes: bytes::Bytes,
    /// Its metadata, a JSON object.
    pub metadata: RawJson,
    /// The values of its channels, without those of kind `empty`.
    pub channel_values: Vec<ChannelValue>,
    /// The writes that follow it, by task path, task and index.
    pub pending_writes: Vec<PendingWrite>,
}

/// Which checkpoints of a thread to list, the latest first.
#[derive(Debug, Clone, Default)]
pub struct CheckpointList {
    /// Only this namespace; `None` for all.
    pub checkpoint_ns: Option<String>,
    /// Only this checkpoint.
    pub checkpoint_id: Option<String>,
    /// Only checkpoints that were accepted before the one with this id; without such a one, before all that have a
    /// greater id.
    pub before: Option<String>,
    /// Contained in the checkpoint's metadata.
    pub metadata: JsonMap,
    /// At most this many.
    pub limit: Option<u32>,
}
