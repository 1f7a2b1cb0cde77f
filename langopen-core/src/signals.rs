//! Hints between processes: what one changed, so that the others need not wait until they look.
//!
//! A signal is never the only way to learn something. Runs, crons, deliveries and cancels are rows, events are in their log; whoever listens looks there
//! too, at least every second. So signals may be lost, come twice, late, and in any order, and nothing is wrong but slower.

use tokio::sync::broadcast;

use crate::ids::ThreadId;
use crate::queue::CancelSignal;

/// How many signals a receiver may be behind before it loses some.
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
    /// Someone wants this running run to end.
    Cancel(CancelSignal),
    /// Something may have been appended to the log of this thread.
    Events(ThreadId),
    /// Signals of any kind may have been lost, e.g. while the connection was broken: look at everything.
    Missed,
}

/// Carries hints between the processes of one installation.
///
/// What an implementor promises: [`send`](Signals::send) returns at once, whether anybody can be reached or not, and fails silently. Equal signals that
/// wait to be sent become one, so a burst costs a few messages and not one for each. A signal reaches the receivers of every other party that is connected,
/// normally within milliseconds; the sender's own receivers do not get it. Where signals may have been lost and the implementation can know it,
/// receivers get [`Signal::Missed`].
pub trait Signals: Send + Sync + 'static {
    /// Sends a hint to the other parties.
    fn send(&self, signal: Signal);

    /// What other parties send from now on. A receiver that lags behind must act as if it had got [`Signal::Missed`].
    fn subscribe(&self) -> broadcast::Receiver<Signal>;
}
