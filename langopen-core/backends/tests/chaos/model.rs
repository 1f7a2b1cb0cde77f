//! The documented behavior of the queue in its simplest form: a list of all runs, with no derived data.

use std::collections::HashSet;
use std::time::Duration;

use langopen_core::model::{CancelAction, MultitaskStrategy};
use langopen_core::queue::{Cancelled, InFlight, Lease};
use langopen_core::{ErrorKind, RunId, RunStatus, ThreadId, Timestamp};

/// A run in the model.
#[derive(Debug, Clone)]
pub(crate) struct ModelRun {
    pub(crate) run_id: RunId,
    pub(crate) thread_id: ThreadId,
    pub(crate) temporary: bool,
    /// `None` if the run is deleted.
    pub(crate) status: Option<RunStatus>,
    pub(crate) attempt: u32,
    pub(crate) cancel: Option<CancelAction>,
    /// Whether the run is delayed. A pending run that is not delayed is in line.
    waits: bool,
    /// Whether a worker may start the run now.
    ready: bool,
    available_at: Timestamp,
    expires_at: Timestamp,
}

impl ModelRun {
    pub(crate) fn is(&self, status: RunStatus) -> bool {
        self.status == Some(status)
    }

    pub(crate) fn in_flight(&self) -> bool {
        self.status.is_some_and(|status| !status.is_terminal())
    }

    fn place(&self) -> (Timestamp, RunId) {
        (self.available_at, self.run_id)
    }
}

/// The expected content of the queue.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) runs: Vec<ModelRun>,
    pub(crate) threads: HashSet<ThreadId>,
}

impl Model {
    pub(crate) fn run(&self, run_id: RunId) -> &ModelRun {
        self.runs.iter().find(|run| run.run_id == run_id).expect("a run that was created")
    }

    fn run_mut(&mut self, run_id: RunId) -> &mut ModelRun {
        self.runs.iter_mut().find(|run| run.run_id == run_id).expect("a run that was created")
    }

    fn of_thread(&self, thread_id: ThreadId) -> impl Iterator<Item = &ModelRun> {
        self.runs.iter().filter(move |run| run.thread_id == thread_id && run.status.is_some())
    }

    fn running(&self, thread_id: ThreadId) -> Option<RunId> {
        self.of_thread(thread_id).find(|run| run.is(RunStatus::Running)).map(|run| run.run_id)
    }

    fn pending(&self, thread_id: ThreadId) -> Vec<RunId> {
        let mut pending: Vec<_> = self.of_thread(thread_id).filter(|run| run.is(RunStatus::Pending)).collect();
        pending.sort_by_key(|run| run.place());
        pending.iter().map(|run| run.run_id).collect()
    }

    /// Makes the thread's first pending run that is in line or due ready, and returns it. Does nothing if a run of the
    /// thread is ready or running.
    fn promote(&mut self, thread_id: ThreadId, now: Timestamp) -> Option<RunId> {
        if self.of_thread(thread_id).any(|run| run.ready || run.is(RunStatus::Running)) {
            return None;
        }
        let due = |run_id: &RunId| !self.run(*run_id).waits || self.run(*run_id).available_at <= now;
        let next = self.pending(thread_id).into_iter().find(due)?;
        let run = self.run_mut(next);
        (run.ready, run.waits) = (true, false);
        Some(next)
    }

    /// The first part of every claim: puts every due run in line.
    pub(crate) fn look(&mut self, now: Timestamp) {
        self.runs.iter_mut().for_each(|run| run.waits &= run.available_at > now);
        for thread_id in self.runs.iter().map(|run| run.thread_id).collect::<HashSet<_>>() {
            self.promote(thread_id, now);
        }
    }

    /// The runs with expired leases, which are claimed first, and then the ready runs in order.
    pub(crate) fn claimable(&self, steady: Timestamp) -> (Vec<RunId>, Vec<RunId>) {
        let expired = |run: &&ModelRun| run.is(RunStatus::Running) && run.expires_at <= steady;
        let expired = self.runs.iter().filter(expired).map(|run| run.run_id).collect();
        let mut ready: Vec<_> = self.runs.iter().filter(|run| run.ready).collect();
        ready.sort_by_key(|run| run.place());
        (expired, ready.iter().map(|run| run.run_id).collect())
    }

    pub(crate) fn claim(&mut self, run_id: RunId, steady: Timestamp, lease: Duration) {
        let run = self.run_mut(run_id);
        (run.status, run.ready) = (Some(RunStatus::Running), false);
        run.attempt += 1;
        run.expires_at = steady.plus(lease);
    }

    /// Creates a run. Returns when the run may start, and the pending runs that it ended.
    pub(crate) fn enqueue(
        &mut self,
        (run_id, thread_id): (RunId, ThreadId),
        strategy: MultitaskStrategy,
        temporary: bool,
        (wanted, now): (Timestamp, Timestamp),
    ) -> Result<(Timestamp, Vec<RunId>), ErrorKind> {
        if self.runs.iter().any(|run| run.run_id == run_id) {
            return Err(ErrorKind::AlreadyExists);
        }
        let (pending, running) = (self.pending(thread_id), self.running(thread_id));
        let action = match strategy {
            MultitaskStrategy::Reject if !pending.is_empty() || running.is_some() => return Err(ErrorKind::Conflict),
            MultitaskStrategy::Reject | MultitaskStrategy::Enqueue => None,
            MultitaskStrategy::Interrupt => Some(CancelAction::Interrupt),
            MultitaskStrategy::Rollback => Some(CancelAction::Rollback),
        };
        let mut ended = Vec::new();
        if let Some(action) = action {
            for run_id in pending {
                self.end_pending(run_id, action);
                ended.push(run_id);
            }
            if let Some(running) = running {
                self.ask(running, action);
            }
        }
        let waits = wanted > now;
        let available_at = if waits { wanted } else { self.end_of_line(thread_id, now, run_id) };
        let (status, expires_at) = (Some(RunStatus::Pending), available_at);
        let new = ModelRun {
            run_id,
            thread_id,
            temporary,
            status,
            attempt: 0,
            cancel: None,
            waits,
            ready: false,
            available_at,
            expires_at,
        };
        self.runs.push(new);
        self.threads.insert(thread_id);
        self.promote(thread_id, now);
        Ok((available_at, ended))
    }

    /// The first moment, not before `now`, at which a run comes after the running run and all runs in line.
    fn end_of_line(&self, thread_id: ThreadId, now: Timestamp, run_id: RunId) -> Timestamp {
        let in_line = |run: &&ModelRun| run.in_flight() && !run.waits;
        let last = self.of_thread(thread_id).filter(in_line).map(ModelRun::place).max();
        match last {
            Some(last) if last > (now, run_id) && last.1 > run_id => last.0.plus(Duration::from_micros(1)),
            Some(last) if last > (now, run_id) => last.0,
            _ => now,
        }
    }

    fn ask(&mut self, run_id: RunId, action: CancelAction) {
        let run = self.run_mut(run_id);
        // A rollback stays a rollback.
        run.cancel = if run.cancel == Some(CancelAction::Rollback) { run.cancel } else { Some(action) };
    }

    fn end_pending(&mut self, run_id: RunId, action: CancelAction) {
        let run = self.run_mut(run_id);
        // An earlier attempt may have been asked to roll back.
        let interrupts = action == CancelAction::Interrupt && run.cancel != Some(CancelAction::Rollback);
        run.status = interrupts.then_some(RunStatus::Interrupted);
        (run.ready, run.waits) = (false, false);
    }

    pub(crate) fn holds(&self, lease: Lease) -> bool {
        let run = self.run(lease.run_id);
        run.is(RunStatus::Running) && run.attempt == lease.attempt
    }

    pub(crate) fn heartbeat(&mut self, lease: Lease, steady: Timestamp, duration: Duration) {
        self.run_mut(lease.run_id).expires_at = steady.plus(duration);
    }

    /// Ends a run. Returns the thread's next run if it is due.
    pub(crate) fn finish(&mut self, lease: Lease, end: RunStatus, rollback: bool, now: Timestamp) -> Option<RunId> {
        let run = self.run_mut(lease.run_id);
        run.status = (!rollback && !run.temporary).then_some(end);
        let thread_id = run.thread_id;
        self.promote(thread_id, now)
    }

    pub(crate) fn release(&mut self, lease: Lease, delay: Duration, now: Timestamp) {
        let run = self.run_mut(lease.run_id);
        run.status = Some(RunStatus::Pending);
        if !delay.is_zero() {
            (run.available_at, run.waits) = (now.plus(delay), true);
        }
        let thread_id = run.thread_id;
        self.promote(thread_id, now);
    }

    pub(crate) fn cancel(
        &mut self,
        run_id: RunId,
        action: CancelAction,
        now: Timestamp,
    ) -> Result<Cancelled, ErrorKind> {
        let run = self.run(run_id);
        match run.status {
            Some(RunStatus::Running) => {
                self.ask(run_id, action);
                Ok(Cancelled::Requested)
            }
            Some(RunStatus::Pending) => {
                let (thread_id, temporary) = (run.thread_id, run.temporary);
                self.end_pending(run_id, action);
                if temporary {
                    self.run_mut(run_id).status = None;
                }
                self.promote(thread_id, now);
                Ok(Cancelled::Ended)
            }
            _ => Err(ErrorKind::NotFound),
        }
    }

    /// The runs that ended, and the running runs that were asked to end.
    pub(crate) fn cancel_in_flight(
        &mut self,
        which: InFlight,
        action: CancelAction,
        now: Timestamp,
    ) -> (Vec<RunId>, Vec<RunId>) {
        let (mut ended, mut requested) = (Vec::new(), Vec::new());
        let hit = |run: &&ModelRun| run.status.is_some_and(|status| which.statuses().contains(&status));
        let hit: Vec<_> = self.runs.iter().filter(hit).map(|run| run.run_id).collect();
        for run_id in hit {
            match self.cancel(run_id, action, now) {
                Ok(Cancelled::Ended) => ended.push(run_id),
                _ => requested.push(run_id),
            }
        }
        (ended, requested)
    }

    /// Returns whether the run was in flight.
    pub(crate) fn delete_run(&mut self, run_id: RunId, now: Timestamp) -> Result<bool, ErrorKind> {
        let (was, thread_id) = (self.run(run_id).in_flight(), self.run(run_id).thread_id);
        let run = self.run_mut(run_id);
        run.status.take().ok_or(ErrorKind::NotFound)?;
        (run.ready, run.waits) = (false, false);
        if was {
            self.promote(thread_id, now);
        }
        Ok(was)
    }

    /// Returns the runs that were in flight.
    pub(crate) fn delete_thread(&mut self, thread_id: ThreadId) -> Result<Vec<RunId>, ErrorKind> {
        if !self.threads.remove(&thread_id) {
            return Err(ErrorKind::NotFound);
        }
        let in_flight = self.of_thread(thread_id).filter(|run| run.in_flight()).map(|run| run.run_id).collect();
        for run in self.runs.iter_mut().filter(|run| run.thread_id == thread_id) {
            (run.status, run.ready, run.waits) = (None, false, false);
        }
        Ok(in_flight)
    }
}
