//! The numbers of events. They rise within a thread, and every reader of the thread sees the same numbers.
//!
//! A number derives from the event's position in the log, so no process has to count: 40 bits for the milliseconds, 10
//! for the log's events within a millisecond, and 3 for the protocol events from one event of the log. It fits into a
//! JavaScript number.

use langopen_core::event_log::EventId;

/// 2025-01-01. The numbers last until 2059.
const EPOCH_MILLIS: u64 = 1_735_689_600_000;
const SEQUENCE_BITS: u32 = 10;
const SHARE_BITS: u32 = 3;

/// The number of the `nth` protocol event from the log's event `id`, above `last`. If a millisecond has more events
/// than numbers, the numbers continue into those of the next milliseconds.
pub(super) fn number(id: EventId, nth: u64, last: u64) -> u64 {
    let millis = id.millis.saturating_sub(EPOCH_MILLIS) << (SEQUENCE_BITS + SHARE_BITS);
    millis.saturating_add(id.sequence << SHARE_BITS).saturating_add(nth).max(last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_and_fit() {
        let id = |millis, sequence| EventId { millis, sequence };
        let first = number(id(1_763_900_000_000, 0), 0, 0);
        assert_eq!(number(id(1_763_900_000_000, 0), 1, first), first + 1);
        assert!(number(id(1_763_900_000_000, 1), 0, first + 1) > first + 1);
        assert_eq!(
            number(id(1_763_900_000_000, 0), 9, first + 20),
            first + 21,
            "in a full millisecond, the numbers continue beyond it"
        );
        assert_eq!(number(id(3, 0), 0, 0), 1, "a clock before the epoch still gives a number");
        let last_of_2058 = number(id(2_808_000_000_000, 1023), 7, 0);
        assert!(last_of_2058 < 1 << 53, "JavaScript cannot hold {last_of_2058}");
    }
}
