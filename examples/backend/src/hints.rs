//! Notifications that spare callers a poll.

use std::sync::Arc;

use langopen_backends::rules::run::CANCELS_KEPT;
use langopen_core::queue::CancelSignal;
use tokio::sync::{Notify, broadcast};

/// The hints of a backend. Callers also poll, so a hint may be lost or spurious.
///
/// The tables send them while the lock is held. The woken caller waits for the lock, so it sees the change. A backend
/// with a database must send them after the commit.
pub(crate) struct Hints {
    pub(crate) runs: Arc<Notify>,
    pub(crate) crons: Arc<Notify>,
    pub(crate) deliveries: Arc<Notify>,
    pub(crate) cancels: broadcast::Sender<CancelSignal>,
}

impl Default for Hints {
    fn default() -> Self {
        let (cancels, _) = broadcast::channel(CANCELS_KEPT);
        Self { runs: Arc::default(), crons: Arc::default(), deliveries: Arc::default(), cancels }
    }
}

impl Hints {
    /// Signals the worker of a running run to stop.
    pub(crate) fn cancel(&self, signal: CancelSignal) {
        // An error means that no worker listens. The run's worker learns of the cancel from its next heartbeat.
        let _ = self.cancels.send(signal);
    }
}
