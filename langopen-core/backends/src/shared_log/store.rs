//! What a place that processes share must do to carry a log.

use std::time::Duration;

use async_trait::async_trait;
use langopen_core::clock::Timestamp;
use langopen_core::error::Result;
use langopen_core::event_log::EventId;
use langopen_core::ids::{RunId, ThreadId};
use tokio::sync::mpsc;

use super::batch::{Record, Write};

/// Where an appended record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Appended {
    /// There, after `before`; `kept` for later readers or not, and maybe `read` by someone now. Until it is `settled`, others may have places before it that are not known yet, and
    /// readers look it up.
    At { before: EventId, last: EventId, kept: bool, read: bool, settled: bool },
    /// Nowhere: a later attempt of the run has appended before.
    Late,
    /// Nowhere: its log has ended, or nobody reads it and it is not kept.
    Nowhere,
}

/// What a reader finds when it takes its place.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Opened {
    /// The thread's last place. Everything that is appended from now on comes after it.
    pub(crate) last: EventId,
    /// Up to where what another store holds is kept records too, if the log has moved from there.
    pub(crate) elsewhere: EventId,
    /// Whether the run's log has ended and is kept.
    pub(crate) ended: bool,
    /// Whether anything is kept that the reader asks for.
    pub(crate) kept: bool,
}

/// Records in the order of their places.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) records: Vec<Record>,
    /// Whether there may be more after them.
    pub(crate) more: bool,
}

/// What a store hears from other processes.
#[derive(Debug)]
pub(crate) enum News {
    /// This was appended.
    Record(ThreadId, Record),
    /// Something may have been appended to the thread.
    Look(ThreadId),
    /// Something may have been missed on any thread.
    LookEverywhere,
    /// What was appended to these threads meanwhile, and is not kept, may be gone.
    Missed,
}

/// A place that processes share. Whoever appends to a thread, its records get places that rise, each after the last one, and are seen in that order.
#[async_trait]
pub(crate) trait LogStore: Send + Sync + 'static {
    /// Appends a record, unless a later attempt of its run was the last that appended to the thread. One that was appended before under its mark is not appended twice, if the write says that it is tried again.
    async fn append(&self, write: &Write) -> Result<Appended>;

    /// Says that a thread is read in this process, so that what is said there is told and not dropped, and looks up where a reader begins.
    async fn open(&self, thread_id: ThreadId, run_id: Option<RunId>) -> Result<Opened>;

    /// Says that threads are no longer read in this process. Returns at once.
    fn left(&self, thread_id: ThreadId);

    /// A page of what is kept of a thread, or of one of its runs, after a place and up to where the reader was opened.
    async fn kept(&self, thread_id: ThreadId, run_id: Option<RunId>, after: EventId, opened: &Opened) -> Result<Page>;

    /// A page of everything that was appended to a thread after this place and is still there, kept or not.
    async fn since(&self, thread_id: ThreadId, after: EventId) -> Result<Page>;

    /// The last places of threads; zero for those that nothing is known of. In the order of the question.
    async fn lasts(&self, threads: &[ThreadId]) -> Result<Vec<EventId>>;

    /// Removes what has served its time; tells how many logs of runs that were.
    async fn sweep(&self, now: Timestamp, retention: Duration) -> Result<u64>;

    /// What is heard from other processes from now on. It is asked for once.
    fn news(&self) -> mpsc::UnboundedReceiver<News>;
}
