use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use langopen_backends::rules::run;
use langopen_core::model::{CancelRequest, NewRun};
use langopen_core::queue::{
    CancelSignal, Cancelled, CancelledMany, ClaimRequest, Claims, Enqueued, Finished, Heartbeat, InFlight, Lease,
    Losses, Outcome, Queue, QueueStats,
};
use langopen_core::{Error, Result, RunId, RunStatus, Scope, ThreadId, Timestamp};
use tokio::sync::{Notify, broadcast};

use crate::MyBackend;
use crate::line::{Entry, Place, Stage};
use crate::state::State;

impl Entry {
    fn is_one_of(&self, which: InFlight) -> bool {
        let status = if matches!(self.stage, Stage::Running(_)) { RunStatus::Running } else { RunStatus::Pending };
        which.statuses().contains(&status)
    }
}

/// The queue's figures. It reads only runs in flight.
fn stats(state: &State, now: Timestamp) -> QueueStats {
    let (mut stats, mut waits) = (QueueStats::default(), Vec::new());
    let (mut running, mut first) = (BTreeSet::new(), BTreeMap::<ThreadId, Place>::new());
    for (run_id, entry) in &state.line {
        if let Stage::Running(_) = entry.stage {
            stats.running += 1;
            running.insert(entry.thread_id);
            continue;
        }
        stats.pending += 1;
        let place = (entry.starts_at, *run_id);
        first.entry(entry.thread_id).and_modify(|first| *first = place.min(*first)).or_insert(place);
        if entry.starts_at <= now {
            waits.push(now.since(entry.starts_at));
        }
    }
    waits.sort_unstable();
    stats.wait_max = waits.last().copied();
    if let (Some(low), Some(high)) = (waits.get(waits.len().saturating_sub(1) / 2), waits.get(waits.len() / 2)) {
        stats.wait_median = Some((*low + *high) / 2);
    }
    let unblocked = first.iter().filter(|(thread_id, place)| place.0 <= now && !running.contains(thread_id));
    stats.unblocked_wait_max = unblocked.map(|(_, place)| now.since(place.0)).max();
    stats
}

#[async_trait]
impl Queue for MyBackend {
    async fn enqueue(&self, scope: &Scope, new: NewRun) -> Result<Enqueued> {
        let mut state = self.state();
        // The time is read under the lock, so that runs are dated in the order in which the queue accepts them.
        let now = self.clock.now();
        state.check_new_run(scope, &new, now)?;
        Ok(state.add_run(scope, new, now))
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Claims> {
        Ok(self.state().claim(request, self.clock.now(), self.clock.steady()))
    }

    async fn heartbeat(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Heartbeat>> {
        let mut state = self.state();
        let until = self.clock.steady().plus(lease);
        let mut extend = |lease: Lease| {
            state.must_hold("queue.heartbeat", Some(lease)).ok()?;
            let entry = state.line.get_mut(&lease.run_id)?;
            entry.stage = Stage::Running(until);
            Some(Heartbeat::Held(entry.cancel.clone()))
        };
        Ok(leases.iter().map(|lease| extend(*lease).unwrap_or(Heartbeat::Lost)).collect())
    }

    async fn finish(&self, lease: Lease, outcome: Outcome) -> Result<Finished> {
        run::check_end(outcome.status)?;
        let mut state = self.state();
        state.must_hold("queue.finish", Some(lease))?;
        Ok(Finished { promoted: state.finish(lease.run_id, outcome, self.clock.now()) })
    }

    async fn release(&self, lease: Lease, delay: Duration) -> Result<()> {
        let mut state = self.state();
        state.must_hold("queue.release", Some(lease))?;
        state.release(lease.run_id, delay, self.clock.now());
        Ok(())
    }

    async fn record_losses(&self, lease: Lease, losses: Losses) -> Result<()> {
        let mut state = self.state();
        state.must_hold("queue.record_losses", Some(lease))?;
        if let Some(entry) = state.line.get_mut(&lease.run_id) {
            entry.losses = losses;
        }
        Ok(())
    }

    async fn cancel(
        &self,
        scope: &Scope,
        thread_id: ThreadId,
        run_id: RunId,
        request: CancelRequest,
    ) -> Result<Cancelled> {
        let mut state = self.state();
        if state.run(scope, thread_id, run_id).is_none() || !state.line.contains_key(&run_id) {
            let message = format!("there is no run {run_id} in flight on thread {thread_id}");
            return Err(Error::not_found("queue.cancel", message));
        }
        let done = state.cancel_runs(&[run_id], &request, self.clock.now());
        Ok(if done.ended.is_empty() { Cancelled::Requested } else { Cancelled::Ended })
    }

    async fn cancel_in_flight(&self, scope: &Scope, which: InFlight, request: CancelRequest) -> Result<CancelledMany> {
        let mut state = self.state();
        let is_shown = |entry: &Entry| state.thread(scope, entry.thread_id).is_some();
        let runs = state.in_flight(|_, entry| entry.is_one_of(which) && is_shown(entry));
        Ok(state.cancel_runs(&runs, &request, self.clock.now()))
    }

    async fn stats(&self) -> Result<QueueStats> {
        Ok(stats(&self.state(), self.clock.now()))
    }

    fn wakes(&self) -> Arc<Notify> {
        self.state().hints.runs.clone()
    }

    fn cancels(&self) -> broadcast::Receiver<CancelSignal> {
        self.state().hints.cancels.subscribe()
    }
}
