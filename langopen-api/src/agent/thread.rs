//! What several resources need of a thread's row.

use langopen_core::ThreadId;
use langopen_core::model::Thread;

use super::error::ApiError;

/// The answer to a request for a thread that does not exist for the caller.
pub(crate) fn not_found(id: ThreadId) -> ApiError {
    ApiError::not_found(format!("Thread with ID {id} not found"))
}

/// The graph that last ran on a thread, or that the client set in its metadata.
pub(crate) fn graph_id(thread: &Thread) -> Option<&str> {
    thread.metadata.get("graph_id")?.as_str()
}
