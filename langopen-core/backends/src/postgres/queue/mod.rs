//! The queue of runs, stored as rows.

pub(super) mod cancel;
mod claim;
mod enqueue;
mod finish;
mod stats;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use langopen_core::error::Result;
use langopen_core::ids::{RunId, ThreadId};
use langopen_core::model::{CancelRequest, NewRun};
use langopen_core::queue::{
    CancelSignal, Cancelled, CancelledMany, ClaimRequest, Claims, Enqueued, Finished, Heartbeat, InFlight, Lease,
    Losses, Outcome, Queue, QueueStats,
};
use langopen_core::signals::Signal;
use langopen_core::tenant::Scope;
use tokio::sync::{Notify, broadcast};

use self::cancel::Stopped;
use super::Postgres;
use crate::rules::run::check_end;

impl Postgres {
    /// Sends the signals that follow from cancelled runs.
    pub(super) fn tell(&self, stopped: Stopped) -> CancelledMany {
        let Stopped { ended, signals, promoted } = stopped;
        let requested = signals.iter().map(|signal| signal.run_id).collect();
        signals.into_iter().for_each(|signal| self.hint(Signal::Cancel(signal)));
        self.hint_if(promoted, Signal::RunsReady);
        self.hint_if(!ended.is_empty(), Signal::DeliveriesReady);
        CancelledMany { ended, requested }
    }
}

#[async_trait]
impl Queue for Postgres {
    async fn enqueue(&self, scope: &Scope, new: NewRun) -> Result<Enqueued> {
        let added = self.add_run(scope, &new).await?;
        if let Some(signal) = added.signal {
            self.hint(Signal::Cancel(signal));
        }
        self.hint_if(added.wakes, Signal::RunsReady);
        self.hint_if(!added.enqueued.ended.is_empty(), Signal::DeliveriesReady);
        Ok(added.enqueued)
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Claims> {
        self.claim_runs(&request.worker, request.max, request.lease, request.tenants.as_deref()).await
    }

    async fn heartbeat(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Heartbeat>> {
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        let expires_at = self.steady().plus(lease);
        self.retrying(|| self.extend_leases(leases, expires_at)).await
    }

    async fn finish(&self, lease: Lease, outcome: Outcome) -> Result<Finished> {
        check_end(outcome.status)?;
        let ended = self.end_run(lease, &outcome).await?;
        self.hint_if(ended.wakes, Signal::RunsReady);
        self.hint_if(ended.tells, Signal::DeliveriesReady);
        Ok(ended.finished)
    }

    async fn release(&self, lease: Lease, delay: Duration) -> Result<()> {
        self.hand_back(lease, delay).await?;
        self.hint(Signal::RunsReady);
        Ok(())
    }

    async fn record_losses(&self, lease: Lease, losses: Losses) -> Result<()> {
        self.record_run_losses(lease, losses).await
    }

    async fn cancel(
        &self,
        scope: &Scope,
        thread_id: ThreadId,
        run_id: RunId,
        request: CancelRequest,
    ) -> Result<Cancelled> {
        let stopped = self.cancel_run(scope, thread_id, run_id, &request).await?;
        match self.tell(stopped).requested.is_empty() {
            true => Ok(Cancelled::Ended),
            false => Ok(Cancelled::Requested),
        }
    }

    async fn cancel_in_flight(&self, scope: &Scope, which: InFlight, request: CancelRequest) -> Result<CancelledMany> {
        let stopped = self.cancel_runs(scope, which, &request).await?;
        Ok(self.tell(stopped))
    }

    async fn stats(&self) -> Result<QueueStats> {
        self.queue_stats().await
    }

    fn wakes(&self) -> Arc<Notify> {
        self.shared.hints.wakes.clone()
    }

    fn cancels(&self) -> broadcast::Receiver<CancelSignal> {
        self.shared.hints.cancels.subscribe()
    }
}
