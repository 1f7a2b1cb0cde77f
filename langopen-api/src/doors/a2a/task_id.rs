//! The ids of tasks: `<thread>:<run>`, of the run that the task began with.

use std::fmt;
use std::str::FromStr;

use langopen_core::model::Run;
use langopen_core::{RunId, ThreadId};

/// The key in a run's metadata that names the task that it goes on with.
pub(super) const TASK_KEY: &str = "a2a_task_id";

/// The key in the metadata of a run that ended with a question, of a task that was given up then.
pub(super) const CANCELED_KEY: &str = "a2a_canceled";

/// Whether a task was given up whose last run this is, while it waited for an answer.
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
        // Only a run before it on the same thread can have begun it.
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
