//! Which runs may start: kept up to date whenever something changes, so that claiming asks nothing.

use super::state::{Place, RunRow, State, ThreadRow};
use crate::backend::rules::{delivery, run, thread};
use crate::clock::Timestamp;
use crate::ids::{RunId, ThreadId};
use crate::model::{CancelAction, CancelRequest, ThreadStatus};
use crate::run_state::RunStatus;
use crate::tenant::Tenant;

impl State {
    /// Whether a run that is due and about to be added waits for no other one of its thread.
    pub(super) fn may_start(&self, thread_id: ThreadId, place: Place, now: Timestamp) -> bool {
        let Some(row) = self.threads.get(&thread_id) else { return false };
        row.running.is_none() && self.first_due(row, now).is_none_or(|first| first > place)
    }

    fn is_delayed(&self, run_id: RunId) -> bool {
        self.runs.get(&run_id).is_some_and(|row| row.delayed)
    }

    /// The thread's oldest pending run that is due.
    fn first_due(&self, row: &ThreadRow, now: Timestamp) -> Option<Place> {
        row.pending.iter().find(|place| place.0 <= now || !self.is_delayed(place.1)).copied()
    }

    /// The last of a thread's runs in flight that do not wait for their time. The running one counts: it may be handed back.
    pub(super) fn last_in_line(&self, thread_id: ThreadId) -> Option<Place> {
        let row = self.threads.get(&thread_id)?;
        let pending = row.pending.iter().rev().find(|place| !self.is_delayed(place.1)).copied();
        let running = row.running.and_then(|run_id| Some((self.runs.get(&run_id)?.available_at, run_id)));
        pending.max(running)
    }

    pub(super) fn make_ready(&mut self, tenant: &Tenant, place: Place) {
        match self.ready.get_mut(tenant) {
            Some(ready) => ready.insert(place),
            None => self.ready.entry(tenant.clone()).or_default().insert(place),
        };
    }

    pub(super) fn take_ready(&mut self, tenant: &Tenant, place: Place) {
        if let Some(ready) = self.ready.get_mut(tenant) {
            ready.remove(&place);
            if ready.is_empty() {
                self.ready.remove(tenant);
            }
        }
    }

    /// Makes the thread's oldest pending run that is due ready, and names it.
    pub(super) fn promote(&mut self, thread_id: ThreadId, now: Timestamp) -> Option<RunId> {
        let row = self.threads.get(&thread_id).filter(|row| row.running.is_none())?;
        let (tenant, place) = (row.tenant.clone(), self.first_due(row, now)?);
        // Due by a clock that has gone back since; nobody who is due comes before it.
        let due = (place.0.min(now), place.1);
        if let Some(row) = self.runs.get_mut(&place.1) {
            (row.available_at, row.delayed) = (due.0, false);
        }
        if let Some(row) = self.threads.get_mut(&thread_id) {
            row.pending.remove(&place);
            row.pending.insert(due);
        }
        self.take_ready(&tenant, place);
        self.make_ready(&tenant, due);
        Some(due.1)
    }

    /// Takes a run out of the queue, whether pending or running; its row stays.
    pub(super) fn dequeue(&mut self, run_id: RunId) {
        let Some(row) = self.runs.get_mut(&run_id) else { return };
        let place = (row.available_at, run_id);
        let tenant = row.tenant.clone();
        if let Some(expires_at) = row.lease_expires_at.take() {
            self.leases.remove(&(expires_at, run_id));
        }
        if let Some(thread) = self.threads.get_mut(&row.run.thread_id) {
            thread.pending.remove(&place);
            thread.running.take_if(|running| *running == run_id);
        }
        self.take_ready(&tenant, place);
    }

    /// Removes a run's row; its checkpoints stay.
    pub(super) fn remove_run(&mut self, run_id: RunId) -> Option<RunRow> {
        self.dequeue(run_id);
        let row = self.runs.remove(&run_id)?;
        if let Some(thread) = self.threads.get_mut(&row.run.thread_id) {
            thread.runs.remove(&(row.run.created_at, run_id));
        }
        Some(row)
    }

    /// Removes a run with the checkpoints that it made.
    pub(super) fn roll_back(&mut self, run_id: RunId) {
        if let Some(row) = self.remove_run(run_id)
            && let Some(thread) = self.threads.get_mut(&row.run.thread_id)
        {
            thread.remove_checkpoints_of(run_id);
        }
    }

    /// Ends a pending run as a cancel says, and shows that on the thread.
    pub(super) fn cancel_pending(
        &mut self,
        thread_id: ThreadId,
        run_id: RunId,
        request: &CancelRequest,
        now: Timestamp,
    ) {
        if let (Some(row), Some(thread)) = (self.runs.get(&run_id), self.threads.get(&thread_id)) {
            let delivery = delivery::of_cancel(&row.tenant, &row.run, request, thread.thread.values.as_ref(), now);
            self.deliver(delivery);
        }
        match request.action {
            CancelAction::Rollback => self.roll_back(run_id),
            CancelAction::Interrupt => {
                self.dequeue(run_id);
                if let Some(row) = self.runs.get_mut(&run_id) {
                    row.run.status = RunStatus::Interrupted;
                    row.run.updated_at = now;
                }
            }
        }
        if let Some(row) = self.threads.get_mut(&thread_id) {
            row.thread.error = Some(thread::error_json(&run::cancel_error(request)));
            row.thread.interrupts.get_or_insert_with(thread::empty_object);
        }
    }

    /// Settles a thread that lost a run without an outcome. One that existed for a temporary run goes with it.
    pub(super) fn settle(&mut self, thread_id: ThreadId, temporary: bool, now: Timestamp) -> Option<RunId> {
        if temporary {
            self.remove_thread(thread_id);
            return None;
        }
        self.threads.get_mut(&thread_id)?.settle(now);
        self.promote(thread_id, now)
    }
}

impl ThreadRow {
    fn settle(&mut self, now: Timestamp) {
        let rest = self.state.as_ref().map(|(_, rest)| rest);
        let settled = thread::settled(self.thread.error.as_ref(), self.thread.interrupts.as_ref(), rest);
        self.thread.status = if self.in_flight() { ThreadStatus::Busy } else { settled };
        self.thread.updated_at = now;
    }
}
