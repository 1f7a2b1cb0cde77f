//! Credit: how many bytes of events a run may send. The receiving side counts them.

use std::sync::atomic::{AtomicI64, Ordering};

/// The credit of a new run, in bytes.
pub(crate) const INITIAL: i64 = 1024 * 1024;

/// How many bytes a host may send after the credit is used up. An honest host then sends at most a few closing events.
const SLACK: i64 = 1024 * 1024;

/// One run's credit.
///
/// An honest host sends an event while the credit is above zero, whatever the event's length. So the credit may once
/// fall far below zero. Only events after that count against the host.
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
    /// Accounts for an event of this length; returns whether the host was allowed to send it. Call it in the order of
    /// the frames.
    pub(crate) fn spend(&self, length: usize) -> bool {
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        if self.left.fetch_sub(length, Ordering::AcqRel) > 0 {
            self.beyond.store(0, Ordering::Release);
            return true;
        }
        self.beyond.fetch_add(length, Ordering::AcqRel).saturating_add(length) <= SLACK
    }

    /// Raises the credit. Call it before the host receives the CREDIT frame.
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
