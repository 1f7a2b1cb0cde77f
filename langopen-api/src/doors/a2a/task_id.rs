//! The ids of tasks: `<thread>:<run>`, with the task's first run.

use std::fmt;
use std::str::FromStr;

use langopen_core::model::Run;
use langopen_core::{RunId, ThreadId};

/// The metadata key with the id of the task that a run continues.
pub(super) const TASK_KEY: &str = "a2a_task_id";

/// The metadata key that marks the last run of a task that a client canceled while it waited for an answer.
pub(super) const CANCELED_KEY: &str = "a2a_canceled";

/// Whether the task with this last run was given up while it waited for an answer.
pub(super) fn is_given_up(run: &Run) -> bool {
    run.metadata.get(CANCELED_KEY).is_some_and(|given_up| given_up == true)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TaskId {
    pub(super) thread_id: ThreadId,
    pub(super) run_id: RunId,
}

impl TaskId {
    /// The task that a run belongs to.
    pub(super) fn of(run: &Run) -> Self {
        let own = Self { thread_id: run.thread_id, run_id: run.run_id };
        let named = run.metadata.get(TASK_KEY).and_then(|id| id.as_str()?.parse().ok());
        // The task's first run is always on the same thread; a key that names another thread is ignored.
        named.filter(|task: &Self| task.thread_id == run.thread_id).unwrap_or(own)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.thread_id, self.run_id)
    }
}

impl FromStr for TaskId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (thread, run) = text.split_once(':').ok_or(())?;
        Ok(Self { thread_id: thread.parse().map_err(|_| ())?, run_id: run.parse().map_err(|_| ())? })
    }
}
