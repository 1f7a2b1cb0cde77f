//! The event log: the events of a thread and its runs, with ids, for any number of readers.
//!
//! An event's id is its position: `<milliseconds>-<sequence>`. Ids are unique and rise within a thread, and so within
//! each of its runs, whichever process appends. A reader names the last id it has and gets every later event: first the
//! kept ones, then the live ones, without a gap or a duplicate. The log of a run ends with the run. The log of a thread
//! goes on until the thread is removed.
//!
//! A thread's log holds the events of its runs, from the `metadata` event that begins an attempt to a last `error`
//! event, and events of the thread itself: [`run_done`] after each run, and the events of
//! [`EventLog::append_to_thread`]. Events of the thread belong to no run, so readers of a run do not get them.
//!
//! # The append algorithm
//!
//! Every backend appends in the same way. One append call makes one record, and these steps happen as one for each
//! thread:
//!
//! 1. **Fence.** If a later attempt of the run has appended, the call fails with `LeaseLost`. If the run's log has
//!    ended, the events are dropped.
//! 2. **Keep or drop.** Events of a resumable run, events of the thread, and the end of a kept log are kept. Other
//!    events are dropped if nobody reads the thread.
//! 3. **Position.** Each event gets the [next id](EventId::next) after the thread's last one, so the ids of a record
//!    are consecutive.
//! 4. **Write.** The record becomes the thread's last one, if the last id is still the one of step 3; otherwise the
//!    call starts again at step 1. A backend with a database commits kept records before any reader sees them.
//! 5. **Deliver.** Readers get the record. Each record names the id before it, so a process that misses a copy sees the
//!    gap and reads the record.
//!
//! A call that is repeated because its answer was lost writes at most once: its repetition expects the same last id,
//! and finds its own record there.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::error::{Error, ErrorKind, Result};
use crate::ids::{RunId, ThreadId};

/// The position of an event in its log. The default is before every event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EventId {
    /// Milliseconds since the Unix epoch when the event was appended.
    pub millis: u64,
    /// Counts the events within that millisecond.
    pub sequence: u64,
}

impl EventId {
    /// Before every event.
    pub const ZERO: Self = Self { millis: 0, sequence: 0 };
    /// After every event.
    pub const MAX: Self = Self { millis: u64::MAX, sequence: u64::MAX };

    /// The id of an event appended at `millis` after the event `self`.
    #[must_use]
    pub fn next(self, millis: u64) -> Self {
        if millis > self.millis {
            Self { millis, sequence: 0 }
        } else {
            Self { millis: self.millis, sequence: self.sequence + 1 }
        }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.sequence)
    }
}

impl FromStr for EventId {
    type Err = Error;

    /// Reads `<milliseconds>-<sequence>`; `-<sequence>` may be missing and is then 0.
    fn from_str(text: &str) -> Result<Self> {
        let (millis, sequence) = text.split_once('-').unwrap_or((text, "0"));
        match (millis.parse(), sequence.parse()) {
            (Ok(millis), Ok(sequence)) => Ok(Self { millis, sequence }),
            _ => Err(Error::invalid(
                "event_log.parse_id",
                format!("{text:?} is not an event id such as 1763900000000-0"),
            )),
        }
    }
}

/// Identifies the log of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogKey {
    /// The thread.
    pub thread_id: ThreadId,
    /// The run.
    pub run_id: RunId,
}

/// The prefix of event names that only the thread protocol's readers see.
pub const NATIVE: &str = "protocol/";

/// The name of the event that stands in the log of a run that ended before its first attempt.
pub const NEVER_BEGUN: &str = "protocol/never-begun";

/// An event to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The event's name, e.g. `values` or `updates|sub:<task>`.
    pub name: Arc<str>,
    /// The event's data: JSON text on one line.
    pub data: Bytes,
}

/// An event with its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// The run that it belongs to; `None` for an event of the thread.
    pub run_id: Option<RunId>,
    /// Its name.
    pub name: Arc<str>,
    /// Its data: JSON text on one line.
    pub data: Bytes,
}

/// The error for an attempt that appends after a later one.
pub fn late(run_id: RunId, attempt: u32) -> Error {
    let message = format!("attempt {attempt} of run {run_id} may not append any more: a later attempt has begun");
    Error::new(ErrorKind::LeaseLost, "event_log.append", message)
}

/// The event that tells the readers of a thread that a run is over. The run's status is committed before.
pub fn run_done(run_id: RunId) -> NewEvent {
    NewEvent { name: "metadata".into(), data: format!(r#"{{"status":"run_done","run_id":"{run_id}"}}"#).into() }
}

/// Where a reader begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFrom {
    /// With the next event.
    Now,
    /// After this event; [`EventId::ZERO`] for the beginning. Only events of resumable runs and of the thread itself
    /// are kept for replay.
    After(EventId),
}

/// Events in order. The stream ends when its log ends. An `Unavailable` item is the last one: the reader was too slow,
/// or the backend lost events that it does not keep. The reader must read again after its last event.
pub type EventStream = BoxStream<'static, Result<Event>>;

/// The events of threads and runs. See the [module](self) for the append algorithm.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// Appends events of an attempt of a run in order. When it returns, every reader of the run and of its thread will
    /// get them, and the events of a resumable run survive a restart of the process. Events of other runs go to the
    /// readers of the moment and cost nothing without readers.
    ///
    /// Once an attempt has appended, earlier attempts of the run may not: a worker that was held up must not mix its
    /// events into those of its successor. Attempt 0 comes before all others. The run service uses it to mark the log of a
    /// run that ends before its first attempt.
    ///
    /// # Errors
    /// `LeaseLost` for an attempt that appends after a later one; nothing is appended.
    async fn append(&self, log: LogKey, attempt: u32, resumable: bool, events: Vec<NewEvent>) -> Result<()>;

    /// Appends events that belong to no run, in order. When it returns, every reader of the thread will get them. They
    /// are kept for as long as the log of a run is kept after its end.
    async fn append_to_thread(&self, thread_id: ThreadId, events: Vec<NewEvent>) -> Result<()>;

    /// Ends the log of a run: its readers get the remaining events and then the end; the readers of its thread get
    /// [`run_done`], which is kept if the run is resumable. Ending a log twice, or one that never began, is no error; a
    /// kept log appends [`run_done`] once.
    async fn end(&self, log: LogKey) -> Result<()>;

    /// Reads the log of a run. The stream has every event that is appended after this call returns. A log without
    /// events can be read; the stream goes on until the log is ended. If a log has ended and is no longer kept, the
    /// stream may stay silent: a caller that waits for a run must also watch the run's status.
    async fn read(&self, log: LogKey, from: ReadFrom) -> Result<EventStream>;

    /// Reads the log of a run that is about to be created. The log has no events yet, so the backend need not look any
    /// up.
    async fn begin(&self, log: LogKey) -> Result<EventStream> {
        self.read(log, ReadFrom::Now).await
    }

    /// Reads the log of a thread: the events of all its runs and of the thread itself. The stream ends when the thread
    /// is removed. A thread that does not exist can be read, because a client may create it later. The log does not
    /// check access; the caller must.
    ///
    /// `After` replays the events that are kept at this moment, and goes on with every later event, kept or not.
    async fn read_thread(&self, thread_id: ThreadId, from: ReadFrom) -> Result<EventStream>;

    /// Removes the logs of deleted threads and of their runs, and ends their readers.
    async fn remove_threads(&self, threads: &[ThreadId]) -> Result<()>;

    /// Removes kept events that are older than the retention, and returns how many logs of runs those were.
    async fn sweep(&self) -> Result<u64>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_rise_within_a_millisecond_and_when_the_clock_goes_back() {
        let first = EventId::ZERO.next(5);
        assert_eq!(first.to_string(), "5-0");
        assert_eq!(first.next(5).to_string(), "5-1");
        assert_eq!(first.next(4).to_string(), "5-1");
        assert_eq!("5-1".parse::<EventId>().unwrap(), first.next(5));
    }
}
