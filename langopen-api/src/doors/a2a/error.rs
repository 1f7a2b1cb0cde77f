//! The protocol's own errors.

use rmcp::model::{ErrorCode, ErrorData};

use super::task_id::TaskId;

fn error(code: i32, message: impl Into<String>) -> ErrorData {
    ErrorData::new(ErrorCode(code), message.into(), None)
}

pub(super) fn task_not_found(id: &str) -> ErrorData {
    error(-32001, format!("Task '{id}' not found"))
}

pub(super) fn not_cancelable() -> ErrorData {
    error(-32002, "Task is not cancelable in its current state")
}

pub(super) fn no_push_notifications() -> ErrorData {
    error(-32003, "Push notifications are not supported")
}

pub(super) fn unsupported(message: impl Into<String>) -> ErrorData {
    error(-32004, message)
}

pub(super) fn content_type(offered: &[String]) -> ErrorData {
    error(-32005, format!("None of the accepted output modes is offered; the agent offers {}", offered.join(", ")))
}

pub(super) fn version(asked: &str) -> ErrorData {
    error(-32009, format!("A2A-Version {asked} is not supported; 0.3 and 1.0 are"))
}

pub(super) fn invalid_request(message: impl Into<String>) -> ErrorData {
    ErrorData::new(ErrorCode::INVALID_REQUEST, message.into(), None)
}

/// The error for a message to a task in a terminal state.
pub(super) fn over(id: TaskId, state: &str) -> ErrorData {
    unsupported(format!(
        "Task '{id}' is {state}; send the message with its contextId and without a taskId to begin another task"
    ))
}
