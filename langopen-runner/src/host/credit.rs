//! How many bytes of events a run may send, as the side that receives them counts it.

use std::sync::atomic::{AtomicI64, Ordering};

/// What a run starts with.
pub(crate) const INITIAL: i64 = 1024 * 1024;

/// How many bytes a host may send after the credit was used up. An honest host sends at most a few closing events then.
const SLACK: i64 = 1024 * 1024;

/// One run's credit.
///
/// An honest host sends an event while the credit is above zero, however long the event is, so the credit may fall far
/// below zero once. What counts against the host is what it sends after that.
#[derive(Debug)]
pub(crate) struct Credit {
    left: AtomicI64,
    beyond: AtomicI64,
}

impl Default for Credit {
    fn default() -> Self {
        Self { left: AtomicI64::new(INITIAL), beyond: AtomicI64::new(0) }
    }
}

impl Credit {
    /// An event of this length came; returns whether the host was allowed to send it. Called in the order of the
    /// frames.
    pub(crate) fn spend(&self, length: usize) -> bool {
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        if self.left.fetch_sub(length, Ordering::AcqRel) > 0 {
            self.beyond.store(0, Ordering::Release);
            return true;
        }
        self.beyond.fetch_add(length, Ordering::AcqRel).saturating_add(length) <= SLACK
    }

    /// The host is about to be told that it may send so much more.
    pub(crate) fn raise(&self, length: usize) {
        self.left.fetch_add(i64::try_from(length).unwrap_or(i64::MAX), Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_long_event_is_allowed_and_a_flood_is_not() {
        let credit = Credit::default();
        assert!(credit.spend(60 * 1024 * 1024), "the credit was above zero");
        assert!(credit.spend(1000), "a closing event");
        credit.raise(60 * 1024 * 1024 + 1001);
        assert!(credit.spend(1024 * 1024 + 1) && credit.spend(900_000) && !credit.spend(900_000));
    }
}
