//! The record of one append call: its events have consecutive positions.
//!
//! A record's bytes: the version (1), the kind (one byte), the run (16 bytes, zeros for none), the mark (16 bytes), the
//! number of events (4 bytes), and for each event its name and its data, each after its length (4 bytes). Numbers are
//! big-endian. The log never parses names and data.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use langopen_core::error::{Error, Result};
use langopen_core::event_log::{Event, EventId, NewEvent};
use langopen_core::ids::RunId;
use uuid::Uuid;

const VERSION: u8 = 1;

/// Version, kind, run, mark and count.
const HEAD: usize = 1 + 1 + 16 + 16 + 4;

/// The kind of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Events of a run.
    Run(RunId),
    /// Events of the thread itself.
    Thread,
    /// The end of a run's log, with the [`run_done`](langopen_core::event_log::run_done) event for the thread's
    /// readers.
    End(RunId),
    /// The removal of the thread. It has a position, and no event.
    Removed,
}

impl Kind {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Run(_) => b'r',
            Self::Thread => b't',
            Self::End(_) => b'e',
            Self::Removed => b'x',
        }
    }

    pub(crate) fn run_id(self) -> Option<RunId> {
        match self {
            Self::Run(run_id) | Self::End(run_id) => Some(run_id),
            Self::Thread | Self::Removed => None,
        }
    }

    fn of(code: u8, run_id: Uuid) -> Option<Self> {
        Some(match code {
            b'r' => Self::Run(RunId(run_id)),
            b't' => Self::Thread,
            b'e' => Self::End(RunId(run_id)),
            b'x' => Self::Removed,
            _ => return None,
        })
    }
}

/// A record with its position.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// The position of the thread's previous record.
    pub(crate) before: EventId,
    /// The position of its last event.
    pub(crate) last: EventId,
    pub(crate) kind: Kind,
    count: u32,
    bytes: Bytes,
}

/// Encodes a record.
///
/// # Errors
/// `Invalid` if an event is too large for a record.
pub(crate) fn encode(kind: Kind, mark: Uuid, events: &[NewEvent]) -> Result<Bytes> {
    let too_large = || Error::invalid("event_log.append", "an event must be smaller than 4 GB");
    let length = |bytes: usize| u32::try_from(bytes).map_err(|_| too_large());
    let size: usize = events.iter().map(|event| 8 + event.name.len() + event.data.len()).sum();
    let mut bytes = BytesMut::with_capacity(HEAD + size);
    bytes.put_u8(VERSION);
    bytes.put_u8(kind.code());
    bytes.put_slice(kind.run_id().unwrap_or(RunId(Uuid::nil())).0.as_bytes());
    bytes.put_slice(mark.as_bytes());
    bytes.put_u32(length(events.len())?);
    for event in events {
        bytes.put_u32(length(event.name.len())?);
        bytes.put_slice(event.name.as_bytes());
        bytes.put_u32(length(event.data.len())?);
        bytes.put_slice(&event.data);
    }
    Ok(bytes.freeze())
}

fn damaged() -> Error {
    Error::internal("event_log.read", "a record of the event log is damaged, or of a newer version")
}

fn take(bytes: &mut Bytes, length: usize) -> Result<Bytes> {
    (length <= bytes.len()).then(|| bytes.split_to(length)).ok_or_else(damaged)
}

fn take_counted(bytes: &mut Bytes) -> Result<Bytes> {
    let length = bytes.try_get_u32().map_err(|_| damaged())?;
    take(bytes, usize::try_from(length).map_err(|_| damaged())?)
}

fn take_uuid(bytes: &mut Bytes) -> Result<Uuid> {
    Uuid::from_slice(&take(bytes, 16)?).map_err(|_| damaged())
}

impl Record {
    /// The number of bytes that it holds.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Decodes the head of a record whose last event has the position `last`. [`Record::events`] decodes the events.
    ///
    /// # Errors
    /// `Internal` for bytes that [`encode`] did not make.
    pub(crate) fn decode(before: EventId, last: EventId, mut bytes: Bytes) -> Result<Self> {
        if bytes.len() < HEAD || bytes.get_u8() != VERSION {
            return Err(damaged());
        }
        let code = bytes.get_u8();
        let kind = Kind::of(code, take_uuid(&mut bytes)?).ok_or_else(damaged)?;
        take_uuid(&mut bytes)?;
        let count = bytes.get_u32();
        Ok(Self { before, last, kind, count, bytes })
    }

    /// Decodes the events. They share the record's bytes.
    ///
    /// # Errors
    /// `Internal` if the record is damaged.
    pub(crate) fn events(&self) -> Result<Vec<Event>> {
        let mut bytes = self.bytes.clone();
        let count = u64::from(self.count);
        let first = (self.last.sequence + 1).checked_sub(count).ok_or_else(damaged)?;
        // The end of a run and the events of the thread itself belong to no run.
        let run_id = match self.kind {
            Kind::Run(run_id) => Some(run_id),
            _ => None,
        };
        let events = if self.kind == Kind::Removed { 0 } else { count };
        let event = |n| {
            let name = take_counted(&mut bytes)?;
            let name: Arc<str> = std::str::from_utf8(&name).map_err(|_| damaged())?.into();
            let id = EventId { millis: self.last.millis, sequence: first + n };
            Ok(Event { id, run_id, name, data: take_counted(&mut bytes)? })
        };
        (0..events).map(event).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> Vec<NewEvent> {
        let event = |name: &str, data: &'static [u8]| NewEvent { name: name.into(), data: Bytes::from_static(data) };
        vec![event("values", b"{\"a\":1}"), event("updates|sub:\u{e9}", b""), event("", b"null")]
    }

    #[test]
    fn a_record_decodes_as_it_was_encoded() {
        let (run_id, mark) = (RunId(Uuid::from_u128(7)), Uuid::from_u128(9));
        let last = EventId { millis: 5, sequence: 12 };
        let bytes = encode(Kind::Run(run_id), mark, &events()).unwrap();
        let record = Record::decode(EventId::ZERO, last, bytes).unwrap();
        assert_eq!((record.kind, record.count), (Kind::Run(run_id), 3));
        let read = record.events().unwrap();
        assert_eq!(read.iter().map(|event| event.id.sequence).collect::<Vec<_>>(), [10, 11, 12]);
        assert!(read.iter().all(|event| event.run_id == Some(run_id)));
        let plain: Vec<_> = read.into_iter().map(|event| NewEvent { name: event.name, data: event.data }).collect();
        assert_eq!(plain, events());
    }

    #[test]
    fn a_damaged_record_is_refused() {
        let bytes = encode(Kind::Thread, Uuid::nil(), &events()).unwrap();
        for length in 0..bytes.len() {
            let last = EventId { millis: 5, sequence: 12 };
            let record = Record::decode(EventId::ZERO, last, bytes.slice(..length));
            assert!(record.and_then(|record| record.events()).is_err(), "cut to {length}");
        }
        let last = EventId { millis: 5, sequence: 1 };
        assert!(Record::decode(EventId::ZERO, last, bytes).unwrap().events().is_err(), "positions below zero");
    }
}
