//! The runs that this worker executes now.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use langopen_core::RunId;
use langopen_core::model::CancelRequest;
use langopen_core::queue::Lease;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Span;

use crate::held::Held;

/// The controls of an active run.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) lease: Lease,
    /// The time until which the worker certainly holds the lease.
    pub(crate) held: Held,
    /// Asks the graph to end.
    pub(crate) cancel: Arc<watch::Sender<Option<CancelRequest>>>,
    /// Cancelled when the lease is lost: the run's task then stops and writes nothing more.
    pub(crate) lost: CancellationToken,
    /// The span of the attempt, with the ids of the run.
    pub(crate) span: Span,
}

/// The runs that this worker executes now.
pub(crate) struct Active {
    runs: Mutex<HashMap<RunId, Handle>>,
    pub(crate) slots: Arc<Semaphore>,
    concurrency: usize,
    pub(crate) tasks: TaskTracker,
    /// Cancelled when the grace period is over: runs in flight are then handed back.
    pub(crate) hand_back: CancellationToken,
}

/// The number of runs that a worker may execute at once, and the number that it executes now.
#[derive(Clone)]
pub struct Slots(Arc<Active>);

impl Slots {
    pub(crate) fn of(active: &Arc<Active>) -> Self {
        Self(Arc::clone(active))
    }

    /// The number of runs that the worker may execute at once.
    pub fn max(&self) -> usize {
        self.0.concurrency
    }

    /// The number of runs that the worker executes now.
    pub fn active(&self) -> usize {
        self.0.runs.lock().len()
    }
}

impl Active {
    pub(crate) fn new(concurrency: usize) -> Self {
        Self {
            runs: Mutex::default(),
            slots: Arc::new(Semaphore::new(concurrency)),
            concurrency,
            tasks: TaskTracker::new(),
            hand_back: CancellationToken::new(),
        }
    }

    /// Adds a run. If an earlier attempt of the run is still active, it has lost its lease and gets no more heartbeats.
    pub(crate) fn insert(&self, handle: Handle) {
        if let Some(earlier) = self.runs.lock().insert(handle.lease.run_id, handle) {
            earlier.lost.cancel();
        }
    }

    /// Removes an attempt, unless a later attempt of the run has replaced it.
    pub(crate) fn remove(&self, lease: Lease) {
        let mut runs = self.runs.lock();
        if runs.get(&lease.run_id).is_some_and(|handle| handle.lease == lease) {
            runs.remove(&lease.run_id);
        }
    }

    pub(crate) fn handles(&self) -> Vec<Handle> {
        self.runs.lock().values().cloned().collect()
    }

    /// Passes a cancel on to the run if this worker executes it.
    pub(crate) fn cancel(&self, run_id: RunId, request: CancelRequest) {
        if let Some(handle) = self.runs.lock().get(&run_id) {
            handle.cancel.send_replace(Some(request));
        }
    }

    /// Waits at most `grace` for all runs to end; then has the remaining ones handed back. Returns the number of those.
    pub(crate) async fn drain(&self, grace: Duration) -> usize {
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_ok() {
            return 0;
        }
        let left = self.runs.lock().len();
        self.hand_back.cancel();
        self.tasks.wait().await;
        left
    }
}
