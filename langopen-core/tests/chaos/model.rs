//! What the queue's documentation says, as plainly as it can be written: every run in one list, and nothing kept ready.

use std::collections::HashSet;
use std::time::Duration;

use langopen_core::model::{CancelAction, MultitaskStrategy};
use langopen_core::queue::{Cancelled, InFlight, Lease};
use langopen_core::{ErrorKind, RunId, RunStatus, ThreadId, Timestamp};

/// A run as the model has it.
#[derive(Debug, Clone)]
pub(crate) struct ModelRun {
    pub(crate) run_id: RunId,
    pub(crate) thread_id: ThreadId,
    pub(crate) temporary: bool,
    /// `None` when it is gone.
    pub(crate) status: Option<RunStatus>,
    pub(crate) attempt: u32,
    pub(crate) cancel: Option<CancelAction>,
    /// Whether it was told to wait for its time. One that was not may begin at any time, also when the clock went back since it was accepted.
    delayed: bool,
    /// Whether its time had come once, while it waited. It may be known since; then it may begin, too.
    was_due: bool,
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

/// What the queue must hold.
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

    /// The runs that end up running if enough are claimed: one whose lease is over, or the first of a thread, if it is due and nothing is running there. And those
    /// that may: they would be due if the clock had not gone back.
    pub(crate) fn claimable(&self, now: Timestamp) -> (Vec<RunId>, Vec<RunId>) {
        let first = |run: &ModelRun| {
            self.running(run.thread_id).is_none() && self.pending(run.thread_id).first() == Some(&run.run_id)
        };
        let due = |run: &&ModelRun| match run.status {
            Some(RunStatus::Running) => run.expires_at <= now,
            Some(RunStatus::Pending) => run.available_at <= now && first(run),
            _ => false,
        };
        let early = |run: &&ModelRun| {
            // Of those before it, all must be such that may still wait.
            let is_first = || {
                let before = self.pending(run.thread_id).into_iter().take_while(|next| *next != run.run_id);
                before.into_iter().all(|next| self.run(next).delayed)
            };
            // Whoever was accepted first comes first, even if the clock that dated the others went back.
            let is_accepted_first = || {
                let before = self.runs.iter().take_while(|other| other.run_id != run.run_id);
                let mut before =
                    before.filter(|other| other.thread_id == run.thread_id && other.is(RunStatus::Pending));
                before.all(|other| other.delayed)
            };
            run.is(RunStatus::Pending)
                && (!run.delayed || run.was_due)
                && self.running(run.thread_id).is_none()
                && (run.available_at > now && is_first() || is_accepted_first())
        };
        let ids = |wanted: &dyn Fn(&&ModelRun) -> bool| {
            self.runs.iter().filter(|run| wanted(run)).map(|run| run.run_id).collect()
        };
        (ids(&due), ids(&early))
    }

    /// It is now so late.
    pub(crate) fn pass(&mut self, now: Timestamp) {
        for run in self.runs.iter_mut().filter(|run| run.is(RunStatus::Pending)) {
            run.was_due |= run.available_at <= now;
        }
    }

    pub(crate) fn claim(&mut self, run_id: RunId, now: Timestamp, lease: Duration) {
        let run = self.run_mut(run_id);
        run.status = Some(RunStatus::Running);
        run.attempt += 1;
        run.expires_at = now.plus(lease);
    }

    /// What creating a run does to others; the answer names the pending ones that it ended.
    pub(crate) fn enqueue(
        &mut self,
        (run_id, thread_id): (RunId, ThreadId),
        strategy: MultitaskStrategy,
        temporary: bool,
        (available_at, delayed): (Timestamp, bool),
    ) -> Result<Vec<RunId>, ErrorKind> {
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
        let (status, expires_at) = (Some(RunStatus::Pending), available_at);
        let new = ModelRun {
            run_id,
            thread_id,
            temporary,
            status,
            attempt: 0,
            cancel: None,
            delayed,
            was_due: false,
            available_at,
            expires_at,
        };
        self.runs.push(new);
        self.threads.insert(thread_id);
        Ok(ended)
    }

    fn ask(&mut self, run_id: RunId, action: CancelAction) {
        let run = self.run_mut(run_id);
        // A rollback stays one.
        run.cancel = if run.cancel == Some(CancelAction::Rollback) { run.cancel } else { Some(action) };
    }

    fn end_pending(&mut self, run_id: RunId, action: CancelAction) {
        let run = self.run_mut(run_id);
        run.status = (action == CancelAction::Interrupt).then_some(RunStatus::Interrupted);
    }

    pub(crate) fn holds(&self, lease: Lease) -> bool {
        let run = self.run(lease.run_id);
        run.is(RunStatus::Running) && run.attempt == lease.attempt
    }

    pub(crate) fn heartbeat(&mut self, lease: Lease, now: Timestamp, duration: Duration) {
        self.run_mut(lease.run_id).expires_at = now.plus(duration);
    }

    /// When the queue dated a run that it accepted: not before it was asked for.
    pub(crate) fn date(&mut self, run_id: RunId, at: Timestamp) {
        let run = self.run_mut(run_id);
        assert!(at >= run.available_at, "{at} is before {}", run.available_at);
        run.available_at = at;
    }

    /// Ends a run; the answer is the thread's next one, if it is due.
    pub(crate) fn finish(&mut self, lease: Lease, end: RunStatus, rollback: bool, now: Timestamp) -> Option<RunId> {
        let run = self.run_mut(lease.run_id);
        run.status = (!rollback && !run.temporary).then_some(end);
        let thread_id = run.thread_id;
        self.pending(thread_id).first().copied().filter(|next| self.run(*next).available_at <= now)
    }

    pub(crate) fn release(&mut self, lease: Lease, delay: Duration, now: Timestamp) {
        let run = self.run_mut(lease.run_id);
        run.status = Some(RunStatus::Pending);
        if !delay.is_zero() {
            run.available_at = now.plus(delay);
            (run.delayed, run.was_due) = (true, false);
        }
    }

    pub(crate) fn cancel(&mut self, run_id: RunId, action: CancelAction) -> Result<Cancelled, ErrorKind> {
        let run = self.run(run_id);
        match run.status {
            Some(RunStatus::Running) => {
                self.ask(run_id, action);
                Ok(Cancelled::Requested)
            }
            Some(RunStatus::Pending) => {
                let action = if run.cancel == Some(CancelAction::Rollback) { CancelAction::Rollback } else { action };
                let temporary = run.temporary;
                self.end_pending(run_id, action);
                if temporary {
                    self.run_mut(run_id).status = None;
                }
                Ok(Cancelled::Ended)
            }
            _ => Err(ErrorKind::NotFound),
        }
    }

    /// The runs that ended, and those that were asked to.
    pub(crate) fn cancel_in_flight(&mut self, which: InFlight, action: CancelAction) -> (Vec<RunId>, Vec<RunId>) {
        let (mut ended, mut requested) = (Vec::new(), Vec::new());
        let hit = |run: &&ModelRun| run.status.is_some_and(|status| which.statuses().contains(&status));
        let hit: Vec<_> = self.runs.iter().filter(hit).map(|run| run.run_id).collect();
        for run_id in hit {
            match self.cancel(run_id, action) {
                Ok(Cancelled::Ended) => ended.push(run_id),
                _ => requested.push(run_id),
            }
        }
        (ended, requested)
    }

    /// Whether the run was in flight.
    pub(crate) fn delete_run(&mut self, run_id: RunId) -> Result<bool, ErrorKind> {
        let was = self.run(run_id).in_flight();
        self.run_mut(run_id).status.take().map(|_| was).ok_or(ErrorKind::NotFound)
    }

    /// The runs that were in flight.
    pub(crate) fn delete_thread(&mut self, thread_id: ThreadId) -> Result<Vec<RunId>, ErrorKind> {
        if !self.threads.remove(&thread_id) {
            return Err(ErrorKind::NotFound);
        }
        let in_flight = self.of_thread(thread_id).filter(|run| run.in_flight()).map(|run| run.run_id).collect();
        self.runs.iter_mut().filter(|run| run.thread_id == thread_id).for_each(|run| run.status = None);
        Ok(in_flight)
    }
}
