use std::sync::Arc;
use std::time::Duration;

use langopen_core::ids::{RunId, ThreadId};
use langopen_core::model::{CancelRequest, NewRun};
use langopen_core::queue::{
    CancelSignal, Cancelled, CancelledMany, ClaimRequest, Claims, Enqueued, Finished, Heartbeat, InFlight, Lease,
    Losses, Outcome, Queue, QueueStats,
};
use langopen_core::tenant::Scope;
use tokio::sync::{Notify, broadcast};

use super::calls::chaotic;
use super::hints::{heard, wakes};

chaotic!(Queue {
    "queue.enqueue" enqueue(scope: &Scope, new: NewRun) -> Enqueued;
    "queue.claim" claim(request: &ClaimRequest) -> Claims;
    "queue.heartbeat" heartbeat(leases: &[Lease], lease: Duration) -> Vec<Heartbeat>;
    "queue.finish" finish(lease: Lease, outcome: Outcome) -> Finished;
    "queue.release" release(lease: Lease, delay: Duration) -> ();
    "queue.record_losses" record_losses(lease: Lease, losses: Losses) -> ();
    "queue.cancel" cancel(scope: &Scope, thread_id: ThreadId, run_id: RunId, request: CancelRequest) -> Cancelled;
    "queue.cancel_in_flight" cancel_in_flight(scope: &Scope, which: InFlight, request: CancelRequest) -> CancelledMany;
    "queue.stats" stats() -> QueueStats;
    => {
        fn wakes(&self) -> Arc<Notify> {
            wakes(&self.chaos, "queue.wakes", &self.wakes, self.inner.wakes())
        }

        fn cancels(&self) -> broadcast::Receiver<CancelSignal> {
            heard(&self.chaos, "queue.cancels", &self.cancels, self.inner.cancels())
        }
    }
});
