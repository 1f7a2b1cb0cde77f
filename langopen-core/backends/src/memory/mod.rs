//! Backends in the memory of the process, for tests, examples and agents that may lose everything at a restart.
//!
//! One lock guards plain maps. No call waits while it holds the lock, so every call is atomic.

mod api_keys;
mod assistants;
mod checkpoints;
mod claim;
mod crons;
mod deployments;
mod event_log;
mod health;
mod outbox;
mod queue;
mod readiness;
mod runs;
mod state;
mod store_items;
mod thread_prune;
mod threads;

use std::fmt;
use std::sync::Arc;

use langopen_core::clock::{Clock, SystemClock, Timestamp};
use langopen_core::ids::RunId;
use langopen_core::queue::CancelSignal;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, broadcast};

use crate::rules::run::{self, CANCELS_KEPT};

pub use event_log::MemoryEventLog;

use state::State;

/// [`Storage`](langopen_core::Storage), [`Queue`](langopen_core::Queue) and [`Outbox`](langopen_core::Outbox) in
/// memory. Clones share all data.
#[derive(Clone)]
pub struct Memory {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    wakes: Arc<Notify>,
    cron_wakes: Arc<Notify>,
    cancels: broadcast::Sender<CancelSignal>,
    delivery_wakes: Arc<Notify>,
}

impl Memory {
    /// Makes an empty backend on the machine's clock.
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// Makes an empty backend on the given clock.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        let (cancels, _) = broadcast::channel(CANCELS_KEPT);
        let (wakes, cron_wakes, delivery_wakes) = (Arc::default(), Arc::default(), Arc::default());
        let state = Mutex::default();
        Self { shared: Arc::new(Shared { clock, state, wakes, cron_wakes, cancels, delivery_wakes }) }
    }

    /// Signals the workers of deleted runs to stop.
    fn stop_deleted(&self, runs: &[RunId]) {
        for run_id in runs {
            // An error means that no worker listens; the run's worker learns of the loss from its next heartbeat.
            let _ = self.shared.cancels.send(run::deleted(*run_id));
        }
    }

    fn wake_deliveries(&self, there_are_some: bool) {
        if there_are_some {
            self.shared.delivery_wakes.notify_one();
        }
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// The current time for leases.
    fn steady(&self) -> Timestamp {
        self.shared.clock.steady()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock()
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}
