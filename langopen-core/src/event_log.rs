//! What runs said: a log with ids for each thread, in which each run on it has its own, with any number of readers.
//!
//! Ids are `<milliseconds>-<sequence>`, unique and rising within a thread, and so within each of its runs, whoever appends. A reader names the last id it
//! has seen and gets everything after it: first what is kept, then what comes, without a gap or a duplicate. The log of a run ends with the run; that of a
//! thread goes on until the thread is removed.
//!
//! A thread's log holds what its runs said, from the `metadata` event that begins an attempt to the `error` that may be the last, and what is said of the
//! thread itself: [`run_done`] after each run, and whatever [`EventLog::append_to_thread`] is given. Those belong to no run, and readers of a run do not see them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::error::{Error, ErrorKind, Result};
use crate::ids::{RunId, ThreadId};

/// The place of an event in its log; before every event by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EventId {
    /// Milliseconds since the Unix epoch when it was appended.
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

/// Which log: that of a run, in that of its thread.
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

/// An event with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place.
    pub id: EventId,
    /// The run that said it; `None` if it was said of the thread.
    pub run_id: Option<RunId>,
    /// Its name.
    pub name: Arc<str>,
    /// Its data: JSON text on one line.
    pub data: Bytes,
}

/// The error for an attempt that comes after a later one.
pub fn late(run_id: RunId, attempt: u32) -> Error {
    let message = format!("a later attempt of run {run_id} than {attempt} has begun to speak");
    Error::new(ErrorKind::LeaseLost, "event_log.append", message)
}

/// The event that tells the readers of a thread that a run is over. Its status is committed by then.
pub fn run_done(run_id: RunId) -> NewEvent {
    NewEvent { name: "metadata".into(), data: format!(r#"{{"status":"run_done","run_id":"{run_id}"}}"#).into() }
}

/// Where a reader begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFrom {
    /// With the next event that is appended.
    Now,
    /// After this one; [`EventId::ZERO`] for the beginning. Only the events of resumable runs and those of the thread itself are kept for replay.
    After(EventId),
}

/// Events in order; it ends when its log ends. An `Unavailable` item means that this reader was too slow and lost its place; it is the last.
pub type EventStream = BoxStream<'static, Result<Event>>;

/// What runs said.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// Appends events of an attempt of a run in order. When it returns, every reader of the run and of its thread will see them, and those of a resumable run survive a
    /// restart of the process. For a run that is not resumable, nobody pays for readers who are not there: the events go to who reads just then.
    ///
    /// Once an attempt has appended, the run's earlier ones may not: a worker that was held up, or whose words were under way for long, must not speak into
    /// those of its successor.
    ///
    /// # Errors
    /// `LeaseLost` for an attempt that comes after a later one; nothing is appended.
    async fn append(&self, log: LogKey, attempt: u32, resumable: bool, events: Vec<NewEvent>) -> Result<()>;

    /// Appends events that belong to no run, in order. When it returns, every reader of the thread will see them. They are kept for the time that the log
    /// of a run is kept after its end.
    async fn append_to_thread(&self, thread_id: ThreadId, events: Vec<NewEvent>) -> Result<()>;

    /// Ends the log of a run: its readers get what is left, and then the end; the readers of its thread get [`run_done`], which is kept if the run is
    /// resumable. Ending twice, or a log that never began, is no error; a kept log tells its end once.
    async fn end(&self, log: LogKey) -> Result<()>;

    /// Reads the log of a run. When it returns, the reader's place is taken: no event that is appended afterwards is missed. A log that nothing was appended to yet
    /// can be read; it goes on until it is ended. A log that has ended and is no longer kept reads as empty and ended only if it is still known;
    /// the caller must watch the run's row to learn that a run it waits for is over.
    async fn read(&self, log: LogKey, from: ReadFrom) -> Result<EventStream>;

    /// Reads the log of a run that is about to be created, from the beginning: nobody can have appended to it, so there is nothing to look up.
    async fn begin(&self, log: LogKey) -> Result<EventStream> {
        self.read(log, ReadFrom::Now).await
    }

    /// Reads the log of a thread, with what all its runs say and what is said of the thread itself. It does not end until the thread is removed. A thread
    /// that does not exist can be read: it may be made later. The log does not know whose a thread is; the caller must.
    ///
    /// `After` replays what is kept at this moment, and goes on with all that is appended afterwards, kept or not.
    async fn read_thread(&self, thread_id: ThreadId, from: ReadFrom) -> Result<EventStream>;

    /// Removes the logs of threads that are gone, with those of their runs, and ends their readers.
    async fn remove_threads(&self, threads: &[ThreadId]) -> Result<()>;

    /// Removes what is kept of ended logs, and of threads, that is older than its time, and returns how many logs of runs those were.
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
