//! Threads: the conversations that runs happen on.

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
}

/// A change to a thread.
#[derive(Debug, Clone, Default)]
pub struct ThreadPatch {
    /// Merged into the metadata, key by key.
    pub metadata: JsonMap,
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
