//! The rules for runs: new rows, their order, cancels, and their end.

use std::time::Duration;

use langopen_core::clock::Timestamp;
use langopen_core::error::{Error, Result};
use langopen_core::ids::RunId;
use langopen_core::json::JsonMap;
use langopen_core::model::{
    CancelAction, CancelRequest, FoundRuns, MultitaskStrategy, NewRun, Run, RunError, RunPosition,
};
use langopen_core::queue::CancelSignal;
use langopen_core::run_state::{RunEvent, RunStatus};

use super::documents::merge;

/// The number of cancel signals that a receiver may lag behind before it loses some.
pub const CANCELS_KEPT: usize = 1024;

/// The row of a new run.
pub fn row(new: &NewRun, thread_metadata: &JsonMap, now: Timestamp) -> Run {
    let mut metadata = new.metadata_base.clone();
    merge(&mut metadata, thread_metadata.clone());
    merge(&mut metadata, new.metadata_own.clone());
    Run {
        run_id: new.run_id,
        thread_id: new.thread_id,
        assistant_id: new.assistant_id,
        graph_id: new.graph_id.clone(),
        metadata,
        status: RunStatus::Pending,
        kwargs: new.kwargs.clone(),
        multitask_strategy: new.multitask_strategy,
        resumable: new.resumable,
        temporary: new.temporary,
        webhook: new.webhook.clone(),
        origin: new.origin.clone(),
        attempt: 0,
        created_at: new.available_at,
        updated_at: now,
    }
}

/// The position of a run in the search order of its assistant's runs.
pub fn place(run: &Run) -> RunPosition {
    (run.updated_at, run.run_id)
}

/// The result of a search that read these rows. The flag of each row is whether the scope shows it.
pub fn found(seen: Vec<(Run, bool)>, limit: u32) -> FoundRuns {
    let next = seen.last().filter(|_| seen.len() == limit as usize).map(|(run, _)| place(run));
    FoundRuns { runs: seen.into_iter().filter_map(|(run, shown)| shown.then_some(run)).collect(), next }
}

/// When a due run may start. The result is after `last`, the last run in line on its thread, even if the clocks of two
/// processes differ or a clock goes back.
pub fn behind(last: Option<(Timestamp, RunId)>, available_at: Timestamp, run_id: RunId) -> Timestamp {
    match last {
        Some(last) if last > (available_at, run_id) => last.0.plus(Duration::from_micros(u64::from(last.1 > run_id))),
        _ => available_at,
    }
}

/// The cancel that a new run causes for the runs in flight on its thread.
pub fn superseded_by(new: &NewRun) -> Option<CancelRequest> {
    let action = match new.multitask_strategy {
        MultitaskStrategy::Interrupt => CancelAction::Interrupt,
        MultitaskStrategy::Rollback => CancelAction::Rollback,
        MultitaskStrategy::Reject | MultitaskStrategy::Enqueue => return None,
    };
    let strategy = new.multitask_strategy.as_str();
    let reason = format!("superseded by run {} (multitask_strategy={strategy})", new.run_id);
    Some(CancelRequest { action, reason })
}

/// Combines two cancel requests: the later one wins, but an earlier rollback stays a rollback.
pub fn merged_cancel(earlier: Option<CancelAction>, mut later: CancelRequest) -> CancelRequest {
    if earlier == Some(CancelAction::Rollback) {
        later.action = CancelAction::Rollback;
    }
    later
}

/// The signal that stops the worker of a deleted run. The worker has lost its lease anyway.
pub fn deleted(run_id: RunId) -> CancelSignal {
    let request = CancelRequest { action: CancelAction::Interrupt, reason: "the run was deleted".to_owned() };
    CancelSignal { run_id, request }
}

/// The cancel for the runs of a deleted assistant.
pub fn assistant_deleted() -> CancelRequest {
    CancelRequest { action: CancelAction::Interrupt, reason: "the assistant was deleted".to_owned() }
}

/// The error that a thread shows after this cancel.
pub fn cancel_error(request: &CancelRequest) -> RunError {
    RunError { error: request.action.error_class().to_owned(), message: request.reason.clone() }
}

/// Checks that a running run can end with this status.
pub fn check_end(status: RunStatus) -> Result<()> {
    let event = match status {
        RunStatus::Success => Some(RunEvent::Succeed),
        RunStatus::Error => Some(RunEvent::Fail),
        RunStatus::Timeout => Some(RunEvent::TimeOut),
        RunStatus::Interrupted => Some(RunEvent::Cancel),
        RunStatus::Pending | RunStatus::Running => None,
    };
    match event.and_then(|event| RunStatus::Running.after(event)) {
        Some(_) => Ok(()),
        None => Err(Error::invalid("queue.finish", format!("a running run cannot end as {}", status.as_str()))),
    }
}

/// The error when the lease of a run is not the current one.
pub fn lease_lost(operation: &'static str, lease: langopen_core::queue::Lease) -> Error {
    let message = format!("attempt {} of run {} is no longer the current one", lease.attempt, lease.run_id);
    Error::new(langopen_core::ErrorKind::LeaseLost, operation, message)
}
