//! The runs that this worker executes now.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use langopen_core::RunId;
use langopen_core::model::CancelRequest;
use langopen_core::queue::Lease;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::held::Held;

/// The controls of an active run.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) lease: Lease,
    /// Until when the lease is certain.
    pub(crate) held: Held,
    /// Ask the graph to end.
    pub(crate) cancel: Arc<watch::Sender<Option<CancelRequest>>>,
    /// The lease is lost: stop, and write nothing more.
    pub(crate) lost: CancellationToken,
}

/// The runs that this worker executes now.
pub(crate) struct Active {
    runs: Mutex<HashMap<RunId, Handle>>,
    slots: Arc<Semaphore>,
    concurrency: usize,
    pub(crate) tasks: TaskTracker,
    /// The grace period is over: hand runs back.
    pub(crate) hand_back: CancellationToken,
}

/// How many runs a worker may execute at once, and does.
#[derive(Clone)]
pub struct Slots(Arc<Active>);

impl Slots {
    pub(crate) fn of(active: &Arc<Active>) -> Self {
        Self(Arc::clone(active))
    }

    /// How many runs it may execute at once.
    pub fn max(&self) -> usize {
        self.0.concurrency
    }

    /// How many it executes now.
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

    /// Waits for a free place, then takes all that are free.
    pub(crate) async fn places(&self) -> Vec<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        let mut places: Vec<_> = Arc::clone(&self.slots).acquire_owned().await.into_iter().collect();
        while places.len() < self.concurrency {
            match Arc::clone(&self.slots).try_acquire_owned() {
                Ok(place) => places.push(place),
                Err(_) => break,
            }
        }
        places
    }

    /// Adds a run. An earlier attempt of it that is still active has lost its lease, and gets no more heartbeats.
    pub(crate) fn insert(&self, handle: Handle) {
        if let Some(earlier) = self.runs.lock().insert(handle.lease.run_id, handle) {
            earlier.lost.cancel();
        }
    }

    /// Forgets a run, unless a later attempt has taken its place.
    pub(crate) fn remove(&self, lease: Lease) {
        let mut runs = self.runs.lock();
        if runs.get(&lease.run_id).is_some_and(|handle| handle.lease == lease) {
            runs.remove(&lease.run_id);
        }
    }

    pub(crate) fn handles(&self) -> Vec<Handle> {
        self.runs.lock().values().cloned().collect()
    }

    /// Passes a cancel on, if the run is here.
    pub(crate) fn cancel(&self, run_id: RunId, request: CancelRequest) {
        if let Some(handle) = self.runs.lock().get(&run_id) {
            handle.cancel.send_replace(Some(request));
        }
    }

    /// Waits until all runs have ended, at most for `grace`; then has the rest handed back. Returns how many those
    /// were.
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
