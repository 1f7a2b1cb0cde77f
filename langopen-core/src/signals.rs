//! Hints between processes, so that a process need not wait for its next poll.
//!
//! A signal is never the only source of a fact. Runs, crons, deliveries and cancels are rows, and events are in their
//! log; every receiver also polls at least once a second. So a signal may be lost, duplicated, delayed or reordered;
//! the only cost is time.

use tokio::sync::broadcast;

use crate::ids::ThreadId;
use crate::queue::CancelSignal;

/// The number of signals that a receiver may lag behind before it loses some.
pub const SIGNALS_KEPT: usize = 4096;

/// A hint.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signal {
    /// A run may have become claimable.
    RunsReady,
    /// A cron may have become due earlier than it was.
    CronsChanged,
    /// A webhook may have become due.
    DeliveriesReady,
    /// A client wants this running run to end.
    Cancel(CancelSignal),
    /// Something may have been appended to the log of this thread.
    Events(ThreadId),
    /// Signals of any kind may have been lost, e.g. while the connection was broken. The receiver must look at
    /// everything.
    Missed,
}

/// Carries hints between the processes of one installation.
///
/// An implementor promises:
///
/// - [`send`](Signals::send) returns at once, even if no other party is reachable, and never reports a failure.
/// - Equal signals that wait to be sent are sent once, so a burst costs a few messages.
/// - Every other connected party receives a signal, normally within milliseconds. The sender does not.
/// - If the implementation notices that signals may have been lost, receivers get [`Signal::Missed`].
pub trait Signals: Send + Sync + 'static {
    /// Sends a hint to the other parties.
    fn send(&self, signal: Signal);

    /// The signals of other parties from now on. A receiver that lags behind must act as if it had received
    /// [`Signal::Missed`].
    fn subscribe(&self) -> broadcast::Receiver<Signal>;
}
