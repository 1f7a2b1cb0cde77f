//! Checkpoints, as bytes that the graph library encoded.
//!
//! A checkpoint id carries the clock of the host that made it, and the clocks of hosts differ. So the storage decides
//! which checkpoint is the latest, by the order in which it accepts them
//! ([`Checkpoints`](crate::storage::Checkpoints)). Some clients sort by id, so hosts keep ids in the same order: a host
//! makes no id below the [`CheckpointTuple::checkpoint_id`] or [`CheckpointTuple::latest_id`] of a checkpoint that it
//! has read.

use crate::ids::{RunId, ThreadId};
use crate::json::{JsonMap, RawJson};

/// The key of a checkpoint. Without `checkpoint_id`, it selects the latest of its namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CheckpointKey {
    /// The thread.
    pub thread_id: ThreadId,
    /// The graph's namespace: empty for the root graph, otherwise the path of subgraph tasks.
    pub checkpoint_ns: String,
    /// The id.
    pub checkpoint_id: Option<String>,
}

/// One channel's value at one version. All checkpoints with that version share the blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// The channel.
    pub channel: String,
    /// Its version, as text.
    pub version: String,
    /// The serialiser's name of the encoding; `empty` for a channel without a value.
    pub kind: String,
    /// The encoded value.
    pub bytes: bytes::Bytes,
}

/// A checkpoint to store.
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
    /// The attempt of the run. The storage accepts the checkpoint only while this attempt holds the run's lease.
    pub attempt: Option<u32>,
    /// The serialiser's name of the encoding.
    pub kind: String,
    /// The checkpoint without its channel values.
    pub bytes: bytes::Bytes,
    /// The checkpoint's metadata, a JSON object.
    pub metadata: RawJson,
    /// The version of each channel in the checkpoint.
    pub channel_versions: Vec<(String, String)>,
    /// The values of the channels that changed with this checkpoint.
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

/// A write of a task, stored before its step is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingWrite {
    /// The task.
    pub task_id: String,
    /// The index among the task's writes. Writes with a negative index are special: they replace a stored one.
    pub index: i64,
    /// The channel.
    pub channel: String,
    /// The encoding.
    pub kind: String,
    /// The encoded value.
    pub bytes: bytes::Bytes,
}

/// The writes of one task, to store with a checkpoint.
#[derive(Debug, Clone)]
pub struct PendingWrites {
    /// The thread.
    pub thread_id: ThreadId,
    /// The namespace.
    pub checkpoint_ns: String,
    /// The checkpoint that the writes follow.
    pub checkpoint_id: String,
    /// The run that made them.
    pub run_id: Option<RunId>,
    /// The attempt of the run. The storage accepts the writes only while this attempt holds the run's lease.
    pub attempt: Option<u32>,
    /// The task's path, for ordering.
    pub task_path: String,
    /// The writes.
    pub writes: Vec<PendingWrite>,
}

/// A stored checkpoint with its channel values and writes.
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
    /// [`Checkpoints::checkpoint`](crate::storage::Checkpoints::checkpoint) sets it; lists do not.
    ///
    /// A host that continues from an older checkpoint needs it, so that the new id is above all others.
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

/// A query for the checkpoints of a thread. The answer has the latest first.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CheckpointList {
    /// Only this namespace; `None` for all namespaces.
    pub checkpoint_ns: Option<String>,
    /// Only this checkpoint.
    pub checkpoint_id: Option<String>,
    /// Only checkpoints that were accepted before the one with this id. If no checkpoint has this id: only those
    /// accepted before all checkpoints with a greater id.
    pub before: Option<String>,
    /// Contained in the checkpoint's metadata.
    pub metadata: JsonMap,
    /// The most checkpoints to return; `None` for no limit.
    pub limit: Option<u32>,
}

setters! {
    CheckpointList {
        with_checkpoint_ns checkpoint_ns: Option<String>,
        with_checkpoint_id checkpoint_id: Option<String>,
        with_before before: Option<String>,
        with_metadata metadata: JsonMap,
        with_limit limit: Option<u32>,
    }
}
