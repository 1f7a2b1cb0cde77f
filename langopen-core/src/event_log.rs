//! What runs said: a log with ids for each run, with any number of readers.
//!
//! Ids are `<milliseconds>-<sequence>`, unique and rising within a run, whoever appends. A reader names the last id it has seen and
//! gets everything after it: first what is kept, then what comes, without a gap or a duplicate, until the log ends.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::error::{Error, Result};
use crate::ids::RunId;

/// The place of an event in its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    /// Milliseconds since the Unix epoch when it was appended.
    pub millis: u64,
    /// Counts the events within that millisecond.
    pub sequence: u64,
}

impl EventId {
    /// Before every event.
    pub const ZERO: Self = Self { millis: 0, sequence: 0 };

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
    /// Its name.
    pub name: Arc<str>,
    /// Its data: JSON text on one line.
    pub data: Bytes,
}

/// Where a reader begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFrom {
    /// With the next event that is appended.
    Now,
    /// After this one; [`EventId::ZERO`] for the beginning. Only a resumable run's log keeps events to replay.
    After(EventId),
}

/// The events of a run in order; it ends when the log ends. An `Unavailable` item means that this reader was too slow and lost its place.
pub type EventStream = BoxStream<'static, Result<Event>>;

/// What runs said.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// Appends events in order. When it returns, every reader will see them, and those of a resumable run survive a restart of the process.
    async fn append(&self, run_id: RunId, resumable: bool, events: Vec<NewEvent>) -> Result<()>;

    /// Ends a log: readers get what is left, and then the end. Ending twice, or a log that never began, is no error.
    async fn end(&self, run_id: RunId) -> Result<()>;

    /// Reads a log. When it returns, the reader's place is taken: no event that is appended afterwards is missed. A log that nothing was appended to yet
    /// can be read; it goes on until it is ended. A log that has ended and is no longer kept reads as empty and ended only if it is still known;
    /// the caller must watch the run's row to learn that a run it waits for is over.
    async fn read(&self, run_id: RunId, from: ReadFrom) -> Result<EventStream>;

    /// Reads the log of a run that is about to be created, from the beginning: nobody can have appended to it, so there is nothing to look up.
    async fn begin(&self, run_id: RunId) -> Result<EventStream> {
        self.read(run_id, ReadFrom::Now).await
    }

    /// Removes what is kept of ended logs that are older than their time, and returns how many.
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
