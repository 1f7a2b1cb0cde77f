//! The store of a shared log.

use std::time::Duration;

use async_trait::async_trait;
use langopen_core::clock::Timestamp;
use langopen_core::error::Result;
use langopen_core::event_log::EventId;
use langopen_core::ids::{RunId, ThreadId};
use tokio::sync::mpsc;

use super::append::{Answer, Proposal};
use super::batch::Record;

/// Where a reader begins.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Opened {
    /// The thread's last position. Every later record comes after it.
    pub(crate) last: EventId,
    /// Whether the run's log has ended and is kept.
    pub(crate) ended: bool,
    /// Whether the store may keep records for this reader.
    pub(crate) kept: bool,
}

/// Records in the order of their positions.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) records: Vec<Record>,
    /// Whether there may be more after them.
    pub(crate) more: bool,
}

/// A hint from another process. It may be lost, come twice, or come out of order.
#[derive(Debug)]
pub(crate) enum News {
    /// Another process appended this record.
    Record(ThreadId, Record),
    /// Another process may have appended to the thread.
    Look(ThreadId),
    /// Hints about any thread may have been lost.
    LookEverywhere,
    /// The store took this process for dead, so records that are not kept may not have been written.
    Missed,
}

/// The store that all processes share. It takes records one at a time for each thread and shows them in the order of
/// their positions.
#[async_trait]
pub(crate) trait LogStore: Send + Sync + 'static {
    /// Takes a record if the thread's last position is the expected one. When it returns [`Answer::Taken`], every
    /// reader will see the record.
    async fn append(&self, proposal: &Proposal) -> Result<Answer>;

    /// Announces that this process reads a thread, so that records for it are written, and looks up where a reader
    /// begins.
    async fn open(&self, thread_id: ThreadId, run_id: Option<RunId>) -> Result<Opened>;

    /// Takes the announcement back. Returns at once.
    fn left(&self, thread_id: ThreadId);

    /// A page of the kept records of a thread, or of one of its runs, after a position and up to where the reader was
    /// opened.
    async fn kept(&self, thread_id: ThreadId, run_id: Option<RunId>, after: EventId, opened: &Opened) -> Result<Page>;

    /// A page of all records of a thread after a position, kept or not.
    async fn since(&self, thread_id: ThreadId, after: EventId) -> Result<Page>;

    /// The threads whose last position is not the given one, with that position. A thread that the store does not know
    /// is not among them.
    async fn moved(&self, threads: &[(ThreadId, EventId)]) -> Result<Vec<(ThreadId, EventId)>>;

    /// Removes what is older than its retention; returns how many logs of runs those were.
    async fn sweep(&self, now: Timestamp, retention: Duration) -> Result<u64>;

    /// The hints of other processes from now on. The log asks once.
    fn news(&self) -> mpsc::UnboundedReceiver<News>;
}
