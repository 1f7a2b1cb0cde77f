//! Threads: the conversations that runs happen on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::ThreadId;
use crate::json::{JsonMap, RawJson};

use super::SortOrder;

/// What a thread is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThreadStatus {
    /// Nothing is in flight and nothing is left to do.
    Idle,
    /// A run is pending or running.
    Busy,
    /// Nothing is in flight, but the last checkpoint has tasks left.
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

/// What goes when a thread is pruned or its time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PruneStrategy {
    /// The thread with everything on it.
    #[default]
    Delete,
    /// All checkpoints but the latest and what it needs.
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

/// How long a thread lives without anything happening on it, and what goes then.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ThreadTtl {
    /// What goes.
    pub strategy: PruneStrategy,
    /// Minutes, more than zero.
    pub minutes: f64,
}

/// A thread's row.
#[derive(Debug, Clone, PartialEq)]
pub struct Thread {
    /// Its id.
    pub thread_id: ThreadId,
    /// When it was created.
    pub created_at: Timestamp,
    /// When anything of the row last changed.
    pub updated_at: Timestamp,
    /// When its state last changed; `created_at` before the first run.
    pub state_updated_at: Timestamp,
    /// Free keys, plus `graph_id` and `assistant_id` of the last run.
    pub metadata: JsonMap,
    /// What it is doing.
    pub status: ThreadStatus,
    /// The merged configuration of its runs.
    pub config: JsonMap,
    /// The latest values of its state, as the graph serialised them; `None` before there are any.
    pub values: Option<RawJson>,
    /// Open interrupts by task id; `None` before a run has ended on the thread.
    pub interrupts: Option<RawJson>,
    /// `{error, message}` of the last run; `None` if it did not fail.
    pub error: Option<RawJson>,
    /// How long it lives; `None` for ever.
    pub ttl: Option<ThreadTtl>,
    /// When its history was last cut.
    pub pruned_at: Option<Timestamp>,
}

impl Thread {
    /// When its time is over: counted from the last change of its row, or from when its history was cut if that was later.
    pub fn expires_at(&self) -> Option<Timestamp> {
        let from = self.pruned_at.map_or(self.updated_at, |pruned_at| pruned_at.max(self.updated_at));
        // The cast saturates.
        self.ttl.map(|ttl| Timestamp::from_micros(from.as_micros().saturating_add((ttl.minutes * 60e6) as i64)))
    }
}

/// An amount of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Volume {
    /// How many pieces.
    pub count: u64,
    /// What they hold, as it is kept, without keys and indexes.
    pub bytes: u64,
}

/// How much a thread's checkpoints take, over all namespaces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ThreadStorage {
    /// Checkpoints with their metadata, without channel values.
    pub checkpoints: Volume,
    /// The versions of each channel's value.
    pub channels: BTreeMap<String, Volume>,
    /// Writes of tasks.
    pub pending_writes: Volume,
}

/// What pruning did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PrunedThreads {
    /// Threads that are gone.
    pub deleted: Vec<ThreadId>,
    /// Threads whose history was cut.
    pub cut: Vec<ThreadId>,
}

/// The latest state of a thread as it is kept beside the row, so that reading it needs no graph.
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
    /// How long it lives.
    pub ttl: Option<ThreadTtl>,
}

/// A change to a thread.
#[derive(Debug, Clone, Default)]
pub struct ThreadPatch {
    /// Merged into the metadata, key by key.
    pub metadata: JsonMap,
    /// Replaces how long it lives; `None` leaves that.
    pub ttl: Option<ThreadTtl>,
}

/// Which column threads are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "each variant is the column of that name")]
pub enum ThreadSort {
    ThreadId,
    Status,
    CreatedAt,
    #[default]
    UpdatedAt,
    StateUpdatedAt,
}

/// Which threads to find.
#[derive(Debug, Clone, Default)]
pub struct ThreadQuery {
    /// One of these; `None` for any.
    pub ids: Option<Vec<ThreadId>>,
    /// Contained in the thread's metadata.
    pub metadata: JsonMap,
    /// Contained in the thread's values; a thread without values never matches a non-empty one.
    pub values: JsonMap,
    /// Exactly this status.
    pub status: Option<ThreadStatus>,
    /// At most this many.
    pub limit: u32,
    /// After skipping this many.
    pub offset: u32,
    /// The order.
    pub sort_by: ThreadSort,
    /// Its direction.
    pub sort_order: SortOrder,
}
