//! Cancels of runs in flight.

use std::collections::BTreeMap;

use langopen_backends::rules::{delivery, run, thread};
use langopen_core::event_log::LogKey;
use langopen_core::model::{CancelAction, CancelRequest, NewRun, ThreadStatus};
use langopen_core::queue::{CancelSignal, Cancelled, CancelledMany};
use langopen_core::{RunId, RunStatus, ThreadId, Timestamp};

use crate::line::{Entry, Stage};
use crate::state::State;

impl State {
    /// The runs in flight that pass, in the order of their places.
    pub(crate) fn in_flight(&self, wanted: impl Fn(RunId, &Entry) -> bool) -> Vec<RunId> {
        let found = self.line.iter().filter(|(run_id, entry)| wanted(**run_id, entry));
        let mut places: Vec<_> = found.map(|(run_id, entry)| (entry.starts_at, *run_id)).collect();
        places.sort_unstable();
        places.into_iter().map(|(_, run_id)| run_id).collect()
    }

    /// Cancels the runs in flight that a new run supersedes, and returns those that have ended.
    pub(crate) fn supersede(&mut self, new: &NewRun, now: Timestamp) -> Vec<RunId> {
        let Some(request) = run::superseded_by(new) else { return Vec::new() };
        let mut runs = self.in_flight(|_, entry| entry.thread_id == new.thread_id);
        runs.retain(|run_id| self.cancel_one(*run_id, &request, now) == Some(Cancelled::Ended));
        runs
    }

    /// Cancels runs. It promotes the next runs only at the end, so no cancelled run becomes ready in between.
    pub(crate) fn cancel_runs(&mut self, runs: &[RunId], request: &CancelRequest, now: Timestamp) -> CancelledMany {
        let mut done = CancelledMany::default();
        let mut changed: BTreeMap<ThreadId, bool> = BTreeMap::new();
        for run_id in runs {
            let Some(row) = self.runs.get(run_id) else { continue };
            let (thread_id, temporary) = (row.run.thread_id, row.run.temporary);
            match self.cancel_one(*run_id, request, now) {
                Some(Cancelled::Requested) => done.requested.push(*run_id),
                Some(Cancelled::Ended) => {
                    done.ended.push(LogKey { thread_id, run_id: *run_id });
                    *changed.entry(thread_id).or_default() |= temporary;
                }
                None => {}
            }
        }
        for (thread_id, temporary) in changed {
            self.settle(thread_id, temporary, now);
        }
        done
    }

    /// Updates a thread that lost a run without an outcome. The thread of a temporary run is removed instead.
    pub(crate) fn settle(&mut self, thread_id: ThreadId, temporary: bool, now: Timestamp) {
        if temporary {
            self.remove_thread(thread_id);
            return;
        }
        let is_busy = self.is_busy(thread_id);
        if let Some(row) = self.threads.get_mut(&thread_id) {
            let rest = row.state.as_ref().map(|(_, rest)| rest);
            let settled = thread::settled(row.thread.error.as_ref(), row.thread.interrupts.as_ref(), rest);
            row.thread.status = if is_busy { ThreadStatus::Busy } else { settled };
            row.thread.updated_at = now;
        }
        self.promote(thread_id, now);
    }

    /// Ends a pending run, or asks the worker of a running one to end it. `None` for a run that is not in flight.
    fn cancel_one(&mut self, run_id: RunId, request: &CancelRequest, now: Timestamp) -> Option<Cancelled> {
        let entry = self.line.get_mut(&run_id)?;
        let request = run::merged_cancel(entry.cancel.as_ref().map(|cancel| cancel.action), request.clone());
        if let Stage::Running(_) = entry.stage {
            entry.cancel = Some(request.clone());
            self.hints.cancel(CancelSignal { run_id, request });
            return Some(Cancelled::Requested);
        }
        self.leave_line(run_id);
        self.end_pending(run_id, &request, now);
        Some(Cancelled::Ended)
    }

    /// Ends a pending run that has left the line, and tells its thread and its webhook why.
    fn end_pending(&mut self, run_id: RunId, request: &CancelRequest, now: Timestamp) {
        let Some(row) = self.runs.get_mut(&run_id) else { return };
        let Some(thread) = self.threads.get_mut(&row.run.thread_id) else { return };
        let delivery = delivery::of_cancel(&row.tenant, &row.run, request, thread.thread.values.as_ref(), now);
        thread.thread.error = Some(thread::error_json(&run::cancel_error(request)));
        thread.thread.interrupts.get_or_insert_with(thread::empty_object);
        match request.action {
            CancelAction::Interrupt => {
                row.run.status = RunStatus::Interrupted;
                row.run.updated_at = now;
            }
            CancelAction::Rollback => {
                thread.forget_run(run_id);
                self.runs.remove(&run_id);
            }
        }
        self.deliver(delivery);
    }
}
