//! Live copies of committed events, carried between processes.
//!
//! The event log in Postgres sends each record that another process reads as a copy, so that readers there need not
//! fetch it. A copy is a hint: it may be lost, come twice, or come out of order, and readers still get each event once
//! and in order, because each copy names the record before it.

use bytes::Bytes;
use langopen_core::ids::ThreadId;
use tokio::sync::mpsc::UnboundedReceiver;

/// What a carrier delivers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// A copy for a thread, as another process sent it.
    Copy(ThreadId, Bytes),
    /// From now on, copies for this thread are delivered. Earlier ones may be missing.
    Watching(ThreadId),
    /// Copies for any thread may be missing, e.g. because the connection was down.
    Missed,
}

/// Carries copies between the processes of one installation.
///
/// No method waits for the other side. A carrier that cannot reach it drops copies.
pub trait LiveCopies: Send + Sync + 'static {
    /// Sends a copy to the processes that watch a thread. Returns `false` if the carrier knows that the copy does not
    /// reach them.
    fn send(&self, thread_id: ThreadId, copy: Bytes) -> bool;

    /// Asks for the copies of a thread.
    fn watch(&self, thread_id: ThreadId);

    /// Asks for no more copies of a thread.
    fn unwatch(&self, thread_id: ThreadId);

    /// The deliveries to this process. A carrier serves one log, which asks once.
    fn deliveries(&self) -> UnboundedReceiver<Delivery>;
}
