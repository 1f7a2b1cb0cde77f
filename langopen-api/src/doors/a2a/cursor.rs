//! Cursors of a task's stream, at which a reader resumes after its connection broke.

use std::fmt;
use std::str::FromStr;

use http::HeaderMap;
use langopen_core::event_log::EventId;

/// The position of an event: the id of its source event in the run's log, and its index among that event's results.
/// Every reader of the stream sees the same positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cursor {
    pub(super) id: EventId,
    pub(super) nth: u32,
}

impl Cursor {
    /// The position of the stream's first event, a snapshot of the task.
    pub(super) const BEGIN: Self = Self { id: EventId::ZERO, nth: 0 };

    /// The position of an event after the log's end.
    pub(super) fn end(nth: u32) -> Self {
        Self { id: EventId::MAX, nth }
    }

    /// The client's position, from `Last-Event-ID`.
    ///
    /// # Errors
    /// If the header is not a cursor.
    pub(super) fn given(headers: &HeaderMap) -> Result<Option<Self>, ()> {
        let Some(text) = headers.get("last-event-id") else { return Ok(None) };
        match text.to_str().map(str::trim) {
            Ok("") => Ok(None),
            Ok(text) => text.parse().map(Some),
            Err(_) => Err(()),
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id {
            EventId::MAX => write!(f, "end-{}", self.nth),
            id => write!(f, "{id}-{}", self.nth),
        }
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (id, nth) = text.rsplit_once('-').ok_or(())?;
        let nth = nth.parse().map_err(|_| ())?;
        match id {
            "end" => Ok(Self::end(nth)),
            id if id.contains('-') => Ok(Self { id: id.parse().map_err(|_| ())?, nth }),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_parse_as_written() {
        let at = |millis, sequence, nth| Cursor { id: EventId { millis, sequence }, nth };
        let places = [Cursor::BEGIN, at(17, 0, 0), at(17, 2, 0), at(18, 0, 1), Cursor::end(0), Cursor::end(1)];
        assert!(places.is_sorted());
        for place in places {
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        for text in ["", "end", "17", "17-2", "-", "17-2-", "a-b-c", "17-2-x", "end-"] {
            assert_eq!(text.parse::<Cursor>(), Err(()), "{text}");
        }
    }
}
