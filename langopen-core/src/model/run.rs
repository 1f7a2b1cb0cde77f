//! Runs: one execution of a graph.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::{AssistantId, RunId, ThreadId};
use crate::json::{JsonMap, RawJson};
use crate::run_state::RunStatus;
use crate::telemetry::TraceContext;

use super::ThreadTtl;

use super::CronFiring;

/// What a new run does to the runs in flight on its thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MultitaskStrategy {
    /// Refuse the new run.
    Reject,
    /// Remove them with their checkpoints.
    Rollback,
    /// Stop them and keep what they did.
    Interrupt,
    /// Wait for them.
    #[default]
    Enqueue,
}

impl MultitaskStrategy {
    /// The name on the wire and in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reject => "reject",
            Self::Rollback => "rollback",
            Self::Interrupt => "interrupt",
            Self::Enqueue => "enqueue",
        }
    }

    /// Reads [`MultitaskStrategy::as_str`].
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Reject, Self::Rollback, Self::Interrupt, Self::Enqueue].into_iter().find(|each| each.as_str() == name)
    }
}

/// What happens to a stateless run's thread when the run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnCompletion {
    /// Thread and run are removed.
    #[default]
    Delete,
    /// They stay.
    Keep,
}

impl OnCompletion {
    /// The name on the wire and in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Keep => "keep",
        }
    }

    /// Reads [`OnCompletion::as_str`].
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Delete, Self::Keep].into_iter().find(|each| each.as_str() == name)
    }
}

/// How a cancelled run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CancelAction {
    /// The run becomes `interrupted`; its checkpoints stay.
    Interrupt,
    /// The run is removed with its checkpoints.
    Rollback,
}

impl CancelAction {
    /// The name on the wire and in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Interrupt => "interrupt",
            Self::Rollback => "rollback",
        }
    }

    /// Reads [`CancelAction::as_str`].
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Interrupt, Self::Rollback].into_iter().find(|each| each.as_str() == name)
    }

    /// The error class that the thread shows after such a cancel.
    pub fn error_class(self) -> &'static str {
        match self {
            Self::Interrupt => "UserInterrupt",
            Self::Rollback => "UserRollback",
        }
    }
}

/// A request to end a run now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelRequest {
    /// How it ends.
    pub action: CancelAction,
    /// Why, as the thread's `error.message` will say.
    pub reason: String,
}

/// `{error, message}`: a failure as clients see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunError {
    /// The class, e.g. `ValueError`.
    pub error: String,
    /// The message, masked where it may not be shown.
    pub message: String,
}

/// The origin of a run, for operators who follow a request through logs and traces. Clients do not see it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOrigin {
    /// The id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The request's place in its distributed trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceContext>,
}

/// A run's row.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its id.
    pub run_id: RunId,
    /// The thread it happens on; a stateless run has one of its own.
    pub thread_id: ThreadId,
    /// The assistant that it runs.
    pub assistant_id: AssistantId,
    /// The graph of that assistant when the run was created.
    pub graph_id: String,
    /// The merged metadata.
    pub metadata: JsonMap,
    /// Where it stands.
    pub status: RunStatus,
    /// Everything that executing it needs, as the wire shows it.
    pub kwargs: RawJson,
    /// What it did to others on its thread when it was created.
    pub multitask_strategy: MultitaskStrategy,
    /// Whether its events are kept for readers that come or come back later.
    pub resumable: bool,
    /// Whether thread and run are removed when it ends; such a run keeps no checkpoints.
    pub temporary: bool,
    /// What is told when it ends.
    pub webhook: Option<String>,
    /// What made it.
    pub origin: RunOrigin,
    /// How often it was claimed; 0 before the first claim.
    pub attempt: u32,
    /// When it was created; with `after_seconds`, when it may start.
    pub created_at: Timestamp,
    /// When its row last changed.
    pub updated_at: Timestamp,
}

/// What a new run does about its thread's row, in the same transaction.
#[derive(Debug, Clone)]
pub struct RunThread {
    /// Create the thread if there is none; else a missing thread fails with `NotFound`.
    pub create: bool,
    /// Merged into the thread's metadata, key by key.
    pub metadata: JsonMap,
    /// Merged into the thread's config: `configurable` and `metadata` key by key, all else replaced.
    pub config: JsonMap,
    /// How long a thread lives that is created.
    pub ttl: Option<ThreadTtl>,
}

/// A new run.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Its id, chosen by the caller.
    pub run_id: RunId,
    /// Its thread.
    pub thread_id: ThreadId,
    /// Its assistant.
    pub assistant_id: AssistantId,
    /// The assistant's graph.
    pub graph_id: String,
    /// Its metadata, without the thread's part: the queue merges as
    /// `metadata.base < thread.metadata < metadata.own`.
    pub metadata_base: JsonMap,
    /// See `metadata_base`.
    pub metadata_own: JsonMap,
    /// Everything that executing it needs.
    pub kwargs: RawJson,
    /// What it does to others on its thread.
    pub multitask_strategy: MultitaskStrategy,
    /// Whether its events are kept.
    pub resumable: bool,
    /// Whether thread and run are removed when it ends.
    pub temporary: bool,
    /// What is told when it ends: a URL that was checked. It may hold secrets: keep it out of logs.
    pub webhook: Option<String>,
    /// What made it.
    pub origin: RunOrigin,
    /// When it may start; also its `created_at`. A moment that has passed counts as the one at which the queue accepts the run, so that runs are
    /// dated in the order in which they were accepted.
    pub available_at: Timestamp,
    /// What happens to the thread's row.
    pub thread: RunThread,
    /// The firing of a cron that this run is: creating the run moves the cron on, in the same step.
    pub firing: Option<CronFiring>,
}

/// Which runs of a thread to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct RunQuery {
    /// Exactly this status.
    pub status: Option<RunStatus>,
    /// At most this many.
    pub limit: u32,
    /// After skipping this many.
    pub offset: u32,
}

/// A place among an assistant's runs, of which the one that changed last comes first; of those that changed at the same time, the one with the greater id.
pub type RunPlace = (Timestamp, RunId);

/// Which runs of an assistant to look at, on whatever threads, in the order of [`RunPlace`]s.
#[derive(Debug, Clone)]
pub struct RunSearch {
    /// The assistant.
    pub assistant_id: AssistantId,
    /// One of these statuses.
    pub statuses: Vec<RunStatus>,
    /// Changed then or later.
    pub since: Option<Timestamp>,
    /// Those that come after this place.
    pub after: Option<RunPlace>,
    /// Look at this many at most.
    pub limit: u32,
}

/// What a search for runs found.
#[derive(Debug, Clone)]
pub struct FoundRuns {
    /// The runs, of those that were looked at, that may be seen.
    pub runs: Vec<Run>,
    /// The last one that was looked at; `None` if there are no more.
    pub next: Option<RunPlace>,
}
