//! Credit: how much a run may send before its events are read. The receiving side counts it.

use std::sync::atomic::{AtomicI64, Ordering};

/// The credit of a new run, in bytes.
pub(crate) const INITIAL: i64 = 1024 * 1024;

/// How many bytes a host may send after the credit is used up. An honest host then sends at most a few closing events.
const SLACK: i64 = 1024 * 1024;

/// What an event costs beside the bytes of its payload: the memory for one more frame. Without it, short events would
/// fill the memory before the credit is used up. The host programs use the same number.
const EVENT_COST: usize = 128;

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
    /// What an event with a payload of this length costs.
    pub(crate) const fn cost(length: usize) -> usize {
        length + EVENT_COST
    }

    /// Accounts for an event with a payload of this length; returns whether the host was allowed to send it. Call it in
    /// the order of the frames.
    pub(crate) fn spend(&self, length: usize) -> bool {
        let cost = i64::try_from(Self::cost(length)).unwrap_or(i64::MAX);
        if self.left.fetch_sub(cost, Ordering::AcqRel) > 0 {
            self.beyond.store(0, Ordering::Release);
            return true;
        }
        self.beyond.fetch_add(cost, Ordering::AcqRel).saturating_add(cost) <= SLACK
    }

    /// Raises the credit. Call it before the host receives the CREDIT frame.
    pub(crate) fn raise(&self, credit: usize) {
        self.left.fetch_add(i64::try_from(credit).unwrap_or(i64::MAX), Ordering::AcqRel);
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
        credit.raise(60 * 1024 * 1024 + 1000 + 1 + 3 * EVENT_COST);
        assert!(credit.spend(1024 * 1024 + 1) && credit.spend(900_000) && !credit.spend(900_000));
    }

    #[test]
    fn empty_events_use_up_the_credit_too() {
        let credit = Credit::default();
        let sent = (0..1_000_000).take_while(|_| credit.spend(0)).count();
        assert_eq!(sent, 2 * 1024 * 1024 / EVENT_COST);
    }
}
