//! Which runs may start. Every change updates this, so a claim only reads it.

use std::time::Duration;

use langopen_core::clock::Timestamp;
use langopen_core::ids::{RunId, ThreadId};
use langopen_core::model::{CancelAction, CancelRequest, ThreadStatus};
use langopen_core::run_state::RunStatus;
use langopen_core::tenant::Tenant;
use uuid::Uuid;

use super::state::{RunRow, Slot, State, ThreadRow};
use crate::rules::{delivery, run, thread};

impl State {
    /// The last of the thread's runs in line: its pending runs that are not delayed, and its running run. The running
    /// run counts because its worker may release it.
    pub(super) fn last_in_line(&self, thread_id: ThreadId) -> Option<Slot> {
        let row = self.threads.get(&thread_id)?;
        let pending = row.pending.iter().rev().find(|slot| !self.delayed.contains(slot)).copied();
        let running = row.running.and_then(|run_id| Some((self.runs.get(&run_id)?.available_at, run_id)));
        pending.max(running)
    }

    fn make_ready(&mut self, tenant: &Tenant, slot: Slot) {
        match self.ready.get_mut(tenant) {
            Some(ready) => ready.insert(slot),
            None => self.ready.entry(tenant.clone()).or_default().insert(slot),
        };
    }

    pub(super) fn take_ready(&mut self, tenant: &Tenant, slot: Slot) {
        if let Some(ready) = self.ready.get_mut(tenant) {
            ready.remove(&slot);
            if ready.is_empty() {
                self.ready.remove(tenant);
            }
        }
    }

    /// Makes the thread's first due pending run ready and returns it. Does nothing if a run of the thread is ready or
    /// running.
    pub(super) fn promote(&mut self, thread_id: ThreadId, now: Timestamp) -> Option<RunId> {
        let row = self.threads.get_mut(&thread_id).filter(|row| row.running.is_none() && row.ready.is_none())?;
        let slot = *row.pending.iter().find(|slot| slot.0 <= now || !self.delayed.contains(slot))?;
        row.ready = Some(slot.1);
        let tenant = row.tenant.clone();
        self.delayed.remove(&slot);
        self.make_ready(&tenant, slot);
        Some(slot.1)
    }

    /// Promotes the threads of the delayed runs that are now due.
    pub(super) fn wake_delayed(&mut self, now: Timestamp) {
        let ahead = self.delayed.split_off(&(now.plus(Duration::from_micros(1)), RunId(Uuid::nil())));
        for (_, run_id) in std::mem::replace(&mut self.delayed, ahead) {
            if let Some(row) = self.runs.get(&run_id) {
                self.promote(row.run.thread_id, now);
            }
        }
    }

    /// Takes a pending or running run out of the queue. Its row stays.
    pub(super) fn dequeue(&mut self, run_id: RunId) {
        let Some(row) = self.runs.get_mut(&run_id) else { return };
        let slot = (row.available_at, run_id);
        let tenant = row.tenant.clone();
        if let Some(expires_at) = row.lease_expires_at.take() {
            self.leases.remove(&(expires_at, run_id));
        }
        if let Some(thread) = self.threads.get_mut(&row.run.thread_id) {
            thread.pending.remove(&slot);
            thread.ready.take_if(|ready| *ready == run_id);
            thread.running.take_if(|running| *running == run_id);
        }
        self.delayed.remove(&slot);
        self.take_ready(&tenant, slot);
    }

    /// Removes a run's row. The checkpoints of the run stay.
    pub(super) fn remove_run(&mut self, run_id: RunId) -> Option<RunRow> {
        self.dequeue(run_id);
        let row = self.runs.remove(&run_id)?;
        if let Some(thread) = self.threads.get_mut(&row.run.thread_id) {
            thread.runs.remove(&(row.run.created_at, run_id));
        }
        Some(row)
    }

    /// Removes a run and the checkpoints that it made.
    pub(super) fn roll_back(&mut self, run_id: RunId) {
        if let Some(row) = self.remove_run(run_id)
            && let Some(thread) = self.threads.get_mut(&row.run.thread_id)
        {
            thread.remove_checkpoints_of(run_id);
        }
    }

    /// Ends a pending run with a cancel, and sets the error on the thread. An earlier attempt of the run may have been
    /// asked to roll back.
    pub(super) fn cancel_pending(
        &mut self,
        thread_id: ThreadId,
        run_id: RunId,
        request: &CancelRequest,
        now: Timestamp,
    ) {
        let earlier = self.runs.get(&run_id).and_then(|row| row.cancel.as_ref()).map(|cancel| cancel.action);
        let request = &run::merged_cancel(earlier, request.clone());
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

    /// Updates a thread after it lost a run without an outcome. If the run was temporary, removes its thread instead.
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
