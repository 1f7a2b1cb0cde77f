//! Threads: conversations of one or more runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::ThreadId;
use crate::json::{JsonMap, RawJson};

use super::SortOrder;

/// The status of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum ThreadStatus {
    /// No run is in flight, and the last checkpoint has no tasks left.
    Idle,
    /// A run is pending or running.
    Busy,
    /// No run is in flight, and the last checkpoint has tasks left.
    Interrupted,
    /// The last run failed.
    Error,
}

impl ThreadStatus {
    /// The name on the wire and in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Busy => "busy",
            Self::Interrupted => "interrupted",
            Self::Error => "error",
        }
    }

    /// Reads [`ThreadStatus::as_str`].
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Idle, Self::Busy, Self::Interrupted, Self::Error].into_iter().find(|status| status.as_str() == name)
    }
}

/// What pruning or expiry removes from a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(default = "delete"))]
#[serde(rename_all = "snake_case")]
pub enum PruneStrategy {
    /// The thread with all its data.
    #[default]
    Delete,
    /// All checkpoints except the latest and the ones it needs.
    KeepLatest,
}

impl PruneStrategy {
    /// The name on the wire and in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::KeepLatest => "keep_latest",
        }
    }

    /// Reads [`PruneStrategy::as_str`].
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Delete, Self::KeepLatest].into_iter().find(|strategy| strategy.as_str() == name)
    }
}

/// The time to live of a thread without activity, and what expiry removes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ThreadTtl {
    /// What expiry removes.
    pub strategy: PruneStrategy,
    /// The time to live in minutes; more than zero.
    pub minutes: f64,
}

/// A thread's row.
#[derive(Debug, Clone, PartialEq)]
pub struct Thread {
    /// Its id.
    pub thread_id: ThreadId,
    /// When it was created.
    pub created_at: Timestamp,
    /// When the row last changed.
    pub updated_at: Timestamp,
    /// When its state last changed; `created_at` before the first run.
    pub state_updated_at: Timestamp,
    /// Free keys, plus `graph_id` and `assistant_id` of the last run.
    pub metadata: JsonMap,
    /// Its status.
    pub status: ThreadStatus,
    /// The merged configuration of its runs.
    pub config: JsonMap,
    /// The latest values of its state, as the graph serialised them; `None` before the first values.
    pub values: Option<RawJson>,
    /// Open interrupts by task id; `None` until the first run of the thread ends.
    pub interrupts: Option<RawJson>,
    /// `{error, message}` of the last run; `None` if the run did not fail.
    pub error: Option<RawJson>,
    /// Its time to live; `None` for a thread that does not expire.
    pub ttl: Option<ThreadTtl>,
    /// When pruning last cut its history.
    pub pruned_at: Option<Timestamp>,
}

impl Thread {
    /// When it expires. The time to live starts at the last change of the row or the last cut of the history, whichever
    /// is later.
    pub fn expires_at(&self) -> Option<Timestamp> {
        let from = self.pruned_at.map_or(self.updated_at, |pruned_at| pruned_at.max(self.updated_at));
        // The cast saturates.
        self.ttl.map(|ttl| Timestamp::from_micros(from.as_micros().saturating_add((ttl.minutes * 60e6) as i64)))
    }
}

/// An amount of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Volume {
    /// The number of entries.
    pub count: u64,
    /// The stored bytes of their contents, without keys and indexes.
    pub bytes: u64,
}

/// The storage space of a thread's checkpoints, over all namespaces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ThreadStorage {
    /// Checkpoints with their metadata, without channel values.
    pub checkpoints: Volume,
    /// The versions of each channel's value.
    pub channels: BTreeMap<String, Volume>,
    /// Writes of tasks.
    pub pending_writes: Volume,
}

/// The answer to pruning.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PrunedThreads {
    /// Threads that were removed.
    pub deleted: Vec<ThreadId>,
    /// Threads whose history was cut.
    pub cut: Vec<ThreadId>,
}

/// The latest state of a thread. It is stored beside the row, so that reading it needs no graph.
#[derive(Debug, Clone, PartialEq)]
pub struct ThreadState {
    /// The root checkpoint that it describes.
    pub checkpoint_id: String,
    /// The state's values.
    pub values: RawJson,
    /// An object: the ThreadState of the wire without its `values`.
    pub rest: RawJson,
}

/// A new thread.
#[derive(Debug, Clone)]
pub struct NewThread {
    /// Its id, chosen by the caller.
    pub thread_id: ThreadId,
    /// Its metadata.
    pub metadata: JsonMap,
    /// Its time to live.
    pub ttl: Option<ThreadTtl>,
}

/// A change to a thread.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ThreadPatch {
    /// Merged into the metadata, key by key.
    pub metadata: JsonMap,
    /// Replaces the time to live; `None` leaves it unchanged.
    pub ttl: Option<ThreadTtl>,
}

setters! {
    ThreadPatch {
        with_metadata metadata: JsonMap,
        with_ttl ttl: Option<ThreadTtl>,
    }
}

/// Which column threads are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "each variant is the column of that name")]
#[non_exhaustive]
pub enum ThreadSort {
    ThreadId,
    Status,
    CreatedAt,
    #[default]
    UpdatedAt,
    StateUpdatedAt,
}

/// A search for threads.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ThreadQuery {
    /// Only threads with one of these ids; `None` for any id.
    pub ids: Option<Vec<ThreadId>>,
    /// Contained in the thread's metadata.
    pub metadata: JsonMap,
    /// Contained in the thread's values; a thread without values never matches a non-empty one.
    pub values: JsonMap,
    /// Only threads with exactly this status.
    pub status: Option<ThreadStatus>,
    /// The most rows to return.
    pub limit: u32,
    /// The number of rows to skip.
    pub offset: u32,
    /// The order.
    pub sort_by: ThreadSort,
    /// Its direction.
    pub sort_order: SortOrder,
}

setters! {
    ThreadQuery {
        with_ids ids: Option<Vec<ThreadId>>,
        with_metadata metadata: JsonMap,
        with_values values: JsonMap,
        with_status status: Option<ThreadStatus>,
        with_limit limit: u32,
        with_offset offset: u32,
        with_sort_by sort_by: ThreadSort,
        with_sort_order sort_order: SortOrder,
    }
}
