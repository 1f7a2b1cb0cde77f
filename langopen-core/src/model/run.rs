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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum MultitaskStrategy {
    /// Reject the new run.
    Reject,
    /// Cancel them, and remove them with their checkpoints.
    Rollback,
    /// Cancel them, and keep their checkpoints.
    Interrupt,
    /// Wait until they have ended.
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum OnCompletion {
    /// The thread and the run are removed.
    #[default]
    Delete,
    /// The thread and the run stay.
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(default = "interrupt"))]
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
    /// How the run ends.
    pub action: CancelAction,
    /// The reason, which the thread's `error.message` shows.
    pub reason: String,
}

/// A failure as clients see it: `{error, message}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunError {
    /// The class, e.g. `ValueError`.
    pub error: String,
    /// The message, masked if clients may not see it.
    pub message: String,
}

/// The origin of a run, for operators who follow a request through logs and traces. Clients do not see it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOrigin {
    /// The id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The request's trace context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceContext>,
}

/// A run's row.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its id.
    pub run_id: RunId,
    /// The thread of the run; a stateless run has its own.
    pub thread_id: ThreadId,
    /// The assistant that it runs.
    pub assistant_id: AssistantId,
    /// The graph of that assistant when the run was created.
    pub graph_id: String,
    /// The merged metadata.
    pub metadata: JsonMap,
    /// Its status.
    pub status: RunStatus,
    /// The parameters of its execution, as the wire shows them.
    pub kwargs: RawJson,
    /// What the run did, when it was created, to the other runs of its thread.
    pub multitask_strategy: MultitaskStrategy,
    /// Whether its events are stored, so that readers can connect late or reconnect.
    pub resumable: bool,
    /// Whether the thread and the run are removed when the run ends. Such a run stores no checkpoints.
    pub temporary: bool,
    /// The webhook URL that is called when the run ends.
    pub webhook: Option<String>,
    /// The origin of the run.
    pub origin: RunOrigin,
    /// The number of claims; 0 before the first claim.
    pub attempt: u32,
    /// When it was created or, with `after_seconds`, when it may start.
    pub created_at: Timestamp,
    /// When its row last changed.
    pub updated_at: Timestamp,
}

/// What a new run changes in its thread's row, in the same transaction.
#[derive(Debug, Clone)]
pub struct RunThread {
    /// Whether to create a missing thread. Otherwise a missing thread fails with `NotFound`.
    pub create: bool,
    /// Merged into the thread's metadata, key by key.
    pub metadata: JsonMap,
    /// Merged into the thread's config: `configurable` and `metadata` key by key; every other key is replaced.
    pub config: JsonMap,
    /// The time to live of a thread that this run creates.
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
    /// The part of its metadata with the lowest precedence. The queue merges `metadata_base`, then the thread's
    /// metadata, then `metadata_own`; later values win.
    pub metadata_base: JsonMap,
    /// See `metadata_base`.
    pub metadata_own: JsonMap,
    /// The parameters of its execution.
    pub kwargs: RawJson,
    /// What the run does to the other runs of its thread.
    pub multitask_strategy: MultitaskStrategy,
    /// Whether its events are stored.
    pub resumable: bool,
    /// Whether the thread and the run are removed when the run ends.
    pub temporary: bool,
    /// The webhook URL that is called when the run ends; it is already validated. It may hold secrets: do not log it.
    pub webhook: Option<String>,
    /// The origin of the run.
    pub origin: RunOrigin,
    /// When the run may start; also its `created_at`. The queue replaces a past moment by the moment at which it
    /// accepts the run, so that runs are dated in the order of their acceptance.
    pub available_at: Timestamp,
    /// The changes to the thread's row.
    pub thread: RunThread,
    /// The firing of a cron, if a cron creates this run. Creating the run moves the cron on, in the same step.
    pub firing: Option<CronFiring>,
}

/// A query for the runs of a thread. The answer has the newest first.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RunQuery {
    /// Only runs with exactly this status.
    pub status: Option<RunStatus>,
    /// The most rows to return.
    pub limit: u32,
    /// The number of rows to skip.
    pub offset: u32,
}

setters! {
    RunQuery {
        with_status status: Option<RunStatus>,
        with_limit limit: u32,
        with_offset offset: u32,
    }
}

/// The position of a run among the runs of an assistant: its last change and its id. Greater positions come first.
pub type RunPosition = (Timestamp, RunId);

/// A search for the runs of an assistant, on all threads, in the order of their [`RunPosition`]s.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunSearch {
    /// The assistant.
    pub assistant_id: AssistantId,
    /// Only runs with one of these statuses.
    pub statuses: Vec<RunStatus>,
    /// Only runs that changed at or after this moment.
    pub since: Option<Timestamp>,
    /// Only runs after this position.
    pub after: Option<RunPosition>,
    /// The most runs to read.
    pub limit: u32,
}

impl RunSearch {
    /// A search for runs with any status. It reads no run until a limit is set.
    pub fn new(assistant_id: AssistantId) -> Self {
        Self { assistant_id, statuses: RunStatus::ALL.to_vec(), since: None, after: None, limit: 0 }
    }
}

setters! {
    RunSearch {
        with_statuses statuses: Vec<RunStatus>,
        with_since since: Option<Timestamp>,
        with_after after: Option<RunPosition>,
        with_limit limit: u32,
    }
}

/// The answer to a search for runs.
#[derive(Debug, Clone)]
pub struct FoundRuns {
    /// The runs that the search read and that the scope shows.
    pub runs: Vec<Run>,
    /// The position of the last run that was read; `None` if no more runs follow.
    pub next: Option<RunPosition>,
}
