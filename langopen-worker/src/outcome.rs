//! Converts the executor's result to the outcome that the queue stores.

use langopen_core::executor::{RunResult, RunResultStatus};
use langopen_core::model::{CancelAction, CancelRequest, RunError, ThreadState, ThreadStatus};
use langopen_core::queue::Outcome;
use langopen_core::{RawJson, RunStatus};

/// The outcome of a run whose executor returned a result. `cancel` is the request that arrived during the run.
pub(crate) fn of(result: RunResult, cancel: Option<CancelRequest>) -> Outcome {
    let (state, values) = match result.state {
        None => (None, None),
        Some(state) => match state.checkpoint_id {
            Some(checkpoint_id) => (Some(ThreadState { checkpoint_id, values: state.values, rest: state.rest }), None),
            None => (None, Some(state.values)),
        },
    };
    let mut outcome = Outcome {
        status: RunStatus::Success,
        thread_status: result.thread_status,
        error: result.error,
        interrupts: result.interrupts,
        state,
        values,
        rollback: false,
    };
    match (cancel, result.status) {
        // The API accepted the cancel, so it wins over an end that came at the same time.
        (Some(request), _) => cancelled(&mut outcome, request),
        (None, RunResultStatus::Success) => outcome.error = None,
        (None, RunResultStatus::Error) => outcome.status = RunStatus::Error,
        (None, RunResultStatus::Cancelled) => outcome.status = RunStatus::Interrupted,
    }
    outcome
}

fn cancelled(outcome: &mut Outcome, request: CancelRequest) {
    outcome.status = RunStatus::Interrupted;
    outcome.rollback = request.action == CancelAction::Rollback;
    if outcome.rollback {
        outcome.thread_status = ThreadStatus::Idle;
        outcome.state = None;
    } else if outcome.thread_status == ThreadStatus::Error {
        outcome.thread_status = ThreadStatus::Idle;
    }
    outcome.error = Some(RunError { error: request.action.error_class().to_owned(), message: request.reason });
}

/// The outcome of a run that ends without a result of its executor. `cancel` is the request that arrived during the
/// run.
pub(crate) fn failed(status: RunStatus, error: RunError, cancel: Option<CancelRequest>) -> Outcome {
    let mut outcome = Outcome {
        status,
        thread_status: ThreadStatus::Error,
        error: Some(error),
        interrupts: RawJson::from(serde_json::json!({})),
        state: None,
        values: None,
        rollback: false,
    };
    if let Some(request) = cancel {
        cancelled(&mut outcome, request);
    }
    outcome
}
