use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use langopen_core::clock::Timestamp;
use langopen_core::error::{Error, ErrorKind, Result};
use langopen_core::event_log::LogKey;
use langopen_core::ids::{RunId, ThreadId};
use langopen_core::model::{CancelRequest, MultitaskStrategy, NewRun, ThreadStatus};
use langopen_core::queue::{
    CancelSignal, Cancelled, CancelledMany, ClaimRequest, Claims, Enqueued, Finished, Heartbeat, InFlight, Lease,
    Losses, Outcome, Queue, QueueStats,
};
use langopen_core::run_state::RunStatus;
use langopen_core::tenant::Scope;
use tokio::sync::{Notify, broadcast};
use uuid::Uuid;

use super::Memory;
use super::state::{RunRow, State, ThreadRow};
use crate::rules::{deployment, documents, run, thread};

/// The result of cancelling runs, and the signals to send.
#[derive(Default)]
pub(super) struct Stopped {
    ended: Vec<LogKey>,
    signals: Vec<CancelSignal>,
    promoted: bool,
}

impl Memory {
    /// Sends the signals that follow from cancelled runs.
    pub(super) fn tell(&self, stopped: Stopped) -> CancelledMany {
        let requested = stopped.signals.iter().map(|signal| signal.run_id).collect();
        for signal in stopped.signals {
            // An error means that no worker listens; the run's worker learns of the cancel from its next heartbeat.
            let _ = self.shared.cancels.send(signal);
        }
        if stopped.promoted {
            self.shared.wakes.notify_one();
        }
        self.wake_deliveries(!stopped.ended.is_empty());
        CancelledMany { ended: stopped.ended, requested }
    }
}

impl State {
    /// Refuses a new run whose id exists, whose thread the scope does not show, or whose strategy rejects it.
    fn check_new(&self, scope: &Scope, new: &NewRun) -> Result<()> {
        let refuse = |kind, message| Err(Error::new(kind, "queue.enqueue", message));
        if self.runs.contains_key(&new.run_id) {
            return refuse(ErrorKind::AlreadyExists, format!("run {} exists already", new.run_id));
        }
        match (self.threads.get(&new.thread_id), new.thread.create) {
            (Some(row), true) if !row.visible(scope) => {
                refuse(ErrorKind::AlreadyExists, format!("thread {} exists already", new.thread_id))
            }
            (Some(row), _) if row.visible(scope) => match new.multitask_strategy {
                MultitaskStrategy::Reject if row.in_flight() => {
                    refuse(ErrorKind::Conflict, format!("a run is in flight on thread {}", new.thread_id))
                }
                _ => Ok(()),
            },
            (None, true) => Ok(()),
            _ => refuse(ErrorKind::NotFound, format!("there is no thread {}", new.thread_id)),
        }
    }

    /// Refuses a new run if the deployment is at its limit. Pending runs that the new run ends do not count.
    fn check_room(&self, scope: &Scope, new: &NewRun) -> Result<()> {
        let Some(limit) = self.limits(&scope.tenant).max_runs_in_flight else { return Ok(()) };
        let ends = run::superseded_by(new).is_some();
        let stay = |(id, row): (&ThreadId, &ThreadRow)| {
            let pending = if ends && *id == new.thread_id { 0 } else { row.pending.len() };
            pending + usize::from(row.running.is_some())
        };
        let in_flight: usize = self.threads.iter().filter(|(_, row)| row.tenant == scope.tenant).map(stay).sum();
        deployment::check_room("queue.enqueue", in_flight as u64, limit)
    }

    /// Ends the thread's pending runs and requests the cancel of its running one. Returns the ended runs and the
    /// signal.
    fn supersede(
        &mut self,
        thread_id: ThreadId,
        request: &CancelRequest,
        now: Timestamp,
    ) -> (Vec<RunId>, Option<CancelSignal>) {
        let Some(row) = self.threads.get(&thread_id) else { return (Vec::new(), None) };
        let (pending, running): (Vec<_>, _) = (row.pending.iter().map(|slot| slot.1).collect(), row.running);
        for run_id in &pending {
            self.cancel_pending(thread_id, *run_id, request, now);
        }
        (pending, running.and_then(|run_id| self.request_cancel(run_id, request.clone())))
    }

    fn request_cancel(&mut self, run_id: RunId, request: CancelRequest) -> Option<CancelSignal> {
        let row = self.runs.get_mut(&run_id)?;
        let request = run::merged_cancel(row.cancel.as_ref().map(|cancel| cancel.action), request);
        row.cancel = Some(request.clone());
        Some(CancelSignal { run_id, request })
    }

    /// Cancels a run in flight. A run without a row counts as ended.
    fn stop_one(&mut self, log: LogKey, request: &CancelRequest, now: Timestamp, stopped: &mut Stopped) {
        let LogKey { thread_id, run_id } = log;
        let Some(row) = self.runs.get(&run_id) else { return stopped.ended.push(log) };
        if row.run.status == RunStatus::Running {
            stopped.signals.extend(self.request_cancel(run_id, request.clone()));
            return;
        }
        let temporary = row.run.temporary;
        self.cancel_pending(thread_id, run_id, request, now);
        stopped.promoted |= self.settle(thread_id, temporary, now).is_some();
        stopped.ended.push(log);
    }

    /// Cancels the runs in flight that `wanted` accepts: pending runs first, and the oldest first within a status.
    pub(super) fn stop(
        &mut self,
        which: InFlight,
        wanted: impl Fn(&RunRow) -> bool,
        request: &CancelRequest,
        now: Timestamp,
    ) -> Stopped {
        let mut stopped = Stopped::default();
        for status in which.statuses() {
            let rows = self.runs.values().filter(|row| row.run.status == *status && wanted(row));
            let mut slots: Vec<_> = rows.map(|row| (row.available_at, row.run.run_id, row.run.thread_id)).collect();
            slots.sort_unstable();
            for (_, run_id, thread_id) in slots {
                self.stop_one(LogKey { thread_id, run_id }, request, now, &mut stopped);
            }
        }
        stopped
    }

    /// Like [`Self::must_hold`], for a write with an optional run and attempt.
    pub(super) fn must_be_current(
        &self,
        operation: &'static str,
        run_id: Option<RunId>,
        attempt: Option<u32>,
    ) -> Result<()> {
        self.must_hold(operation, run_id.zip(attempt).map(|(run_id, attempt)| Lease { run_id, attempt }))
    }

    /// Refuses a write whose lease is lost. A write without a lease belongs to no run and is allowed.
    pub(super) fn must_hold(&self, operation: &'static str, lease: Option<Lease>) -> Result<()> {
        let Some(Lease { run_id, attempt }) = lease else { return Ok(()) };
        let current = |row: &RunRow| row.run.status == RunStatus::Running && row.run.attempt == attempt;
        match self.runs.get(&run_id).is_some_and(current) {
            true => Ok(()),
            false => Err(run::lease_lost(operation, Lease { run_id, attempt })),
        }
    }

    fn leased(&mut self, operation: &'static str, lease: Lease) -> Result<&mut RunRow> {
        self.runs
            .get_mut(&lease.run_id)
            .filter(|row| row.run.status == RunStatus::Running && row.run.attempt == lease.attempt)
            .ok_or_else(|| run::lease_lost(operation, lease))
    }
}

#[async_trait]
impl Queue for Memory {
    async fn enqueue(&self, scope: &Scope, mut new: NewRun) -> Result<Enqueued> {
        let mut state = self.state();
        // Read under the lock, so that the times of runs follow the order in which the queue accepts them.
        let now = self.now();
        new.available_at = new.available_at.max(now);
        state.check_new(scope, &new)?;
        if let Some(firing) = new.firing {
            state.check_firing("queue.enqueue", scope, firing, now)?;
        }
        state.check_room(scope, &new)?;
        if let Some(firing) = new.firing {
            state.advance_cron(firing);
        }
        let thread_id = new.thread_id;
        let (ended, signal) = match run::superseded_by(&new) {
            Some(request) => state.supersede(thread_id, &request, now),
            None => (Vec::new(), None),
        };
        self.wake_deliveries(!ended.is_empty());
        let delayed = new.available_at > now;
        if !delayed {
            new.available_at = run::behind(state.last_in_line(thread_id), new.available_at, new.run_id);
        }
        let slot = (new.available_at, new.run_id);
        let row = state.threads.entry(thread_id).or_insert_with(|| {
            let thread = thread::row(thread_id, Default::default(), Default::default(), new.thread.ttl, now);
            ThreadRow::new(scope.tenant.clone(), thread)
        });
        let run = run::row(&new, &row.thread.metadata, now);
        documents::merge(&mut row.thread.metadata, new.thread.metadata);
        documents::merge_config(&mut row.thread.config, new.thread.config);
        row.thread.status = ThreadStatus::Busy;
        row.thread.updated_at = now;
        row.runs.insert((run.created_at, run.run_id));
        let fresh_thread = row.checkpoints.is_empty();
        row.pending.insert(slot);
        let tenant = scope.tenant.clone();
        let losses = Losses::default();
        let row =
            RunRow { tenant, run: run.clone(), available_at: slot.0, lease_expires_at: None, cancel: None, losses };
        state.runs.insert(run.run_id, row);
        if delayed {
            state.delayed.insert(slot);
        }
        if state.promote(thread_id, now).is_some() || delayed {
            self.shared.wakes.notify_one();
        }
        drop(state);
        if let Some(signal) = signal {
            // An error means that no worker listens; the run's worker learns of the cancel from its next heartbeat.
            let _ = self.shared.cancels.send(signal);
        }
        Ok(Enqueued { run, fresh_thread, ended })
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Claims> {
        let (now, steady) = (self.now(), self.steady());
        Ok(self.state().claim(request, now, steady))
    }

    async fn heartbeat(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Heartbeat>> {
        let expires_at = self.steady().plus(lease);
        let mut state = self.state();
        let mut extend = |lease: &Lease| {
            let row = state.leased("queue.heartbeat", *lease).ok()?;
            let (before, cancel) = (row.lease_expires_at.replace(expires_at), row.cancel.clone());
            if let Some(before) = before {
                state.leases.remove(&(before, lease.run_id));
            }
            state.leases.insert((expires_at, lease.run_id));
            Some(Heartbeat::Held(cancel))
        };
        Ok(leases.iter().map(|lease| extend(lease).unwrap_or(Heartbeat::Lost)).collect())
    }

    async fn finish(&self, lease: Lease, outcome: Outcome) -> Result<Finished> {
        run::check_end(outcome.status)?;
        let now = self.now();
        let mut state = self.state();
        let row = state.leased("queue.finish", lease)?;
        let (thread_id, temporary, tenant) = (row.run.thread_id, row.run.temporary, row.tenant.clone());
        if row.run.webhook.is_some() {
            let delivery = state.delivery_of(lease.run_id, &outcome, now);
            state.deliver(delivery);
            self.wake_deliveries(true);
        }
        if state.limits(&tenant).max_running_runs.is_some() {
            // Another run of the same deployment may start.
            self.shared.wakes.notify_one();
        }
        if temporary {
            state.remove_thread(thread_id);
            return Ok(Finished::default());
        }
        if let Some(row) = state.runs.get_mut(&lease.run_id) {
            row.run.status = outcome.status;
            row.run.updated_at = now;
        }
        if outcome.rollback {
            state.roll_back(lease.run_id);
        } else {
            state.dequeue(lease.run_id);
        }
        if let Some(row) = state.threads.get_mut(&thread_id) {
            let change = thread::after(outcome, row.in_flight());
            row.apply(change, now);
        }
        let promoted = state.promote(thread_id, now);
        if promoted.is_some() {
            self.shared.wakes.notify_one();
        }
        Ok(Finished { promoted })
    }

    async fn release(&self, lease: Lease, delay: Duration) -> Result<()> {
        let now = self.now();
        let mut state = self.state();
        let row = state.leased("queue.release", lease)?;
        let (thread_id, mut slot) = (row.run.thread_id, (row.available_at, lease.run_id));
        row.run.status = RunStatus::Pending;
        row.run.updated_at = now;
        // Without a delay, the run keeps its start time, and so stays before the runs that came after it.
        if !delay.is_zero() {
            slot.0 = now.plus(delay);
        }
        state.dequeue(lease.run_id);
        if let Some(row) = state.runs.get_mut(&lease.run_id) {
            row.available_at = slot.0;
        }
        if let Some(row) = state.threads.get_mut(&thread_id) {
            row.pending.insert(slot);
        }
        if !delay.is_zero() {
            state.delayed.insert(slot);
        }
        state.promote(thread_id, now);
        self.shared.wakes.notify_one();
        Ok(())
    }

    async fn record_losses(&self, lease: Lease, losses: Losses) -> Result<()> {
        self.state().leased("queue.record_losses", lease)?.losses = losses;
        Ok(())
    }

    async fn cancel(
        &self,
        scope: &Scope,
        thread_id: ThreadId,
        run_id: RunId,
        request: CancelRequest,
    ) -> Result<Cancelled> {
        let now = self.now();
        let mut state = self.state();
        if state.run(scope, thread_id, run_id).is_none_or(|row| row.run.status.is_terminal()) {
            let message = format!("there is no run {run_id} in flight on thread {thread_id}");
            return Err(Error::not_found("queue.cancel", message));
        }
        let mut stopped = Stopped::default();
        state.stop_one(LogKey { thread_id, run_id }, &request, now, &mut stopped);
        let done = self.tell(stopped);
        Ok(if done.ended.is_empty() { Cancelled::Requested } else { Cancelled::Ended })
    }

    async fn cancel_in_flight(&self, scope: &Scope, which: InFlight, request: CancelRequest) -> Result<CancelledMany> {
        let now = self.now();
        let mut state = self.state();
        let threads: HashSet<_> =
            state.threads.iter().filter(|(_, row)| row.visible(scope)).map(|(id, _)| *id).collect();
        let stopped = state.stop(which, |row| threads.contains(&row.run.thread_id), &request, now);
        Ok(self.tell(stopped))
    }

    async fn stats(&self) -> Result<QueueStats> {
        let (state, now) = (self.state(), self.now());
        let mut stats = QueueStats { running: state.leases.len() as u64, ..QueueStats::default() };
        let (mut due, mut unblocked) = (Vec::new(), None);
        for thread in state.threads.values() {
            stats.pending += thread.pending.len() as u64;
            due.extend(thread.pending.range(..=(now, RunId(Uuid::max()))).map(|slot| slot.0));
            // A thread's runs start in order, so only its first pending run can be startable.
            let first = thread.pending.first().filter(|slot| slot.0 <= now && thread.running.is_none());
            unblocked = unblocked.into_iter().chain(first.map(|slot| slot.0)).min();
        }
        due.sort_unstable();
        let waits = |at: &Timestamp| now.since(*at);
        stats.wait_max = due.first().map(waits);
        stats.unblocked_wait_max = unblocked.as_ref().map(waits);
        if let (Some(low), Some(high)) = (due.get(due.len().saturating_sub(1) / 2), due.get(due.len() / 2)) {
            stats.wait_median = Some((waits(low) + waits(high)) / 2);
        }
        Ok(stats)
    }

    fn wakes(&self) -> Arc<Notify> {
        self.shared.wakes.clone()
    }

    fn cancels(&self) -> broadcast::Receiver<CancelSignal> {
        self.shared.cancels.subscribe()
    }
}
