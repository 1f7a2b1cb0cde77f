//! How a worker ends a run or hands it back.

use std::time::Duration;

use langopen_backends::rules::{delivery, thread};
use langopen_core::queue::Outcome;
use langopen_core::{RunId, RunStatus, Timestamp};

use crate::line::Stage;
use crate::state::State;

impl State {
    /// Ends a running run, and returns the thread's next run if this end made it ready.
    pub(crate) fn finish(&mut self, run_id: RunId, outcome: Outcome, now: Timestamp) -> Option<RunId> {
        let row = self.runs.get_mut(&run_id)?;
        let (thread_id, temporary) = (row.run.thread_id, row.run.temporary);
        let values = self.threads.get(&thread_id).and_then(|thread| thread.thread.values.as_ref());
        // The rule reads when the attempt began from the row, so it comes before the change of the row.
        let delivery = delivery::of_outcome(&row.tenant, &row.run, &outcome, values, now);
        row.run.status = outcome.status;
        row.run.updated_at = now;
        self.deliver(delivery);
        self.leave_line(run_id);
        if temporary {
            self.remove_thread(thread_id);
            return None;
        }
        let is_busy = self.is_busy(thread_id);
        if outcome.rollback {
            self.runs.remove(&run_id);
        }
        if let Some(row) = self.threads.get_mut(&thread_id) {
            if outcome.rollback {
                row.forget_run(run_id);
            }
            row.apply(thread::after(outcome, is_busy), now);
        }
        self.promote(thread_id, now)
    }

    /// Makes a running run pending again.
    pub(crate) fn release(&mut self, run_id: RunId, delay: Duration, now: Timestamp) {
        let (Some(entry), Some(row)) = (self.line.get_mut(&run_id), self.runs.get_mut(&run_id)) else { return };
        row.run.status = RunStatus::Pending;
        row.run.updated_at = now;
        // Without a delay the run keeps its place, before the runs that came after it.
        entry.stage = Stage::InLine;
        if !delay.is_zero() {
            entry.stage = Stage::Delayed;
            entry.starts_at = now.plus(delay);
        }
        let thread_id = entry.thread_id;
        self.promote(thread_id, now);
        self.hints.runs.notify_one();
    }
}
