//! The queue of runs, stored as rows.

pub(super) mod cancel;
mod claim;
mod enqueue;
mod finish;
mod stats;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use langopen_core::error::Result;
use langopen_core::ids::{RunId, ThreadId};
use langopen_core::model::{CancelRequest, NewRun};
use langopen_core::queue::{
    CancelSignal, Cancelled, CancelledMany, ClaimRequest, Claims, Enqueued, Finished, Heartbeat, InFlight, Lease,
    Losses, Outcome, Queue, QueueStats,
};
use langopen_core::tenant::Scope;
use tokio::sync::{Notify, broadcast};

use self::cancel::Stopped;
use super::Sqlite;
use crate::rules::run::check_end;

impl Sqlite {
    fn signal(&self, signal: Option<CancelSignal>) {
        if let Some(signal) = signal {
            // An error means that no worker listens; the run's worker learns of the cancel from its next heartbeat.
            let _ = self.shared.cancels.send(signal);
        }
    }

    /// Sends the signals that follow from cancelled runs.
    pub(super) fn tell(&self, stopped: Stopped) -> CancelledMany {
        let Stopped { ended, signals, promoted } = stopped;
        let requested = signals.iter().map(|signal| signal.run_id).collect();
        signals.into_iter().for_each(|signal| self.signal(Some(signal)));
        self.wake_if(promoted);
        self.wake_deliveries(!ended.is_empty());
        CancelledMany { ended, requested }
    }

    pub(super) fn wake_if(&self, claimable: bool) {
        if claimable {
            self.shared.wakes.notify_one();
        }
    }
}

#[async_trait]
impl Queue for Sqlite {
    async fn enqueue(&self, scope: &Scope, new: NewRun) -> Result<Enqueued> {
        let (scope, clock) = (scope.clone(), Arc::clone(&self.shared.clock));
        // The job reads the time on the writer task, so the times of runs follow the order in which the queue accepts
        // them.
        let added =
            self.write_whole("queue.enqueue", move |db| enqueue::enqueue(db, scope, new, clock.now()).boxed()).await?;
        self.signal(added.signal);
        self.wake_if(added.ready);
        self.wake_deliveries(!added.enqueued.ended.is_empty());
        Ok(added.enqueued)
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Claims> {
        let (request, now, steady) = (request.clone(), self.now(), self.steady());
        self.write_whole("queue.claim", move |db| claim::claim(db, request, now, steady).boxed()).await
    }

    async fn heartbeat(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Heartbeat>> {
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        let (leases, expires_at) = (leases.to_vec(), self.steady().plus(lease));
        self.write_whole("queue.heartbeat", move |db| claim::heartbeat(db, leases, expires_at).boxed()).await
    }

    async fn finish(&self, lease: Lease, outcome: Outcome) -> Result<Finished> {
        check_end(outcome.status)?;
        let now = self.now();
        let ended = self.write_whole("queue.finish", move |db| finish::finish(db, lease, outcome, now).boxed()).await?;
        self.wake_if(ended.makes_room || ended.finished.promoted.is_some());
        self.wake_deliveries(ended.tells);
        Ok(ended.finished)
    }

    async fn release(&self, lease: Lease, delay: Duration) -> Result<()> {
        let now = self.now();
        self.write("queue.release", move |db| finish::release(db, lease, delay, now).boxed()).await?;
        self.wake_if(true);
        Ok(())
    }

    async fn record_losses(&self, lease: Lease, losses: Losses) -> Result<()> {
        self.write("queue.record_losses", move |db| finish::record_losses(db, lease, losses).boxed()).await
    }

    async fn cancel(
        &self,
        scope: &Scope,
        thread_id: ThreadId,
        run_id: RunId,
        request: CancelRequest,
    ) -> Result<Cancelled> {
        let (scope, now) = (scope.clone(), self.now());
        let done = self
            .write("queue.cancel", move |db| {
                cancel::cancel("queue.cancel", db, scope, thread_id, run_id, request, now).boxed()
            })
            .await?;
        self.signal(done.signal);
        self.wake_if(done.promoted.is_some());
        self.wake_deliveries(done.cancelled == Cancelled::Ended);
        Ok(done.cancelled)
    }

    async fn cancel_in_flight(&self, scope: &Scope, which: InFlight, request: CancelRequest) -> Result<CancelledMany> {
        let (scope, now) = (scope.clone(), self.now());
        let job = self.write("queue.cancel_in_flight", move |db| {
            cancel::cancel_in_flight(db, scope, which, request, now).boxed()
        });
        Ok(self.tell(job.await?))
    }

    async fn stats(&self) -> Result<QueueStats> {
        stats::stats(self.readers(), self.now()).await
    }

    fn wakes(&self) -> Arc<Notify> {
        self.shared.wakes.clone()
    }

    fn cancels(&self) -> broadcast::Receiver<CancelSignal> {
        self.shared.cancels.subscribe()
    }
}
