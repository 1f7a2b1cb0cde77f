//! The handles of runs, calls and exchanges that this side begins on a host.

use std::sync::atomic::{AtomicU32, Ordering};

/// A range of handles, both ends included. The ranges of a runner's clients are disjoint, so its hosts can distinguish
/// the clients' runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HandleRange {
    first: u32,
    last: u32,
}

/// Allocates the numbers of a range in turn.
#[derive(Debug)]
pub(super) struct Handles {
    range: HandleRange,
    next: AtomicU32,
}

impl HandleRange {
    /// The range for the only client of a host. The upper half of all numbers is reserved for exchanges that hosts
    /// begin.
    pub(crate) const ALL: Self = Self { first: 1, last: super::HOSTS - 1 };

    /// `None` if the range is empty, contains 0, or reaches into the hosts' numbers.
    pub(crate) fn new(first: u32, last: u32) -> Option<Self> {
        (0 < first && first <= last && last < super::HOSTS).then_some(Self { first, last })
    }
}

impl Handles {
    pub(super) fn new(range: HandleRange) -> Self {
        Self { range, next: AtomicU32::new(0) }
    }

    /// The next number that is not `taken`; `None` if all are taken.
    pub(super) fn next(&self, taken: impl Fn(u32) -> bool) -> Option<u32> {
        let HandleRange { first, last } = self.range;
        let count = last - first + 1;
        (0..count).map(|_| first + self.next.fetch_add(1, Ordering::Relaxed) % count).find(|&number| !taken(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_round_and_taken_ones_are_passed_over() {
        let handles = Handles::new(HandleRange::new(5, 7).unwrap());
        let next = |taken: &[u32]| handles.next(|number| taken.contains(&number));
        assert_eq!([next(&[]), next(&[]), next(&[]), next(&[])], [Some(5), Some(6), Some(7), Some(5)]);
        assert_eq!(next(&[6, 7]), Some(5));
        assert_eq!(next(&[5, 6, 7]), None);
    }

    #[test]
    fn a_range_is_below_the_hosts_own_numbers() {
        assert!(HandleRange::new(0, 7).is_none() && HandleRange::new(8, 7).is_none());
        assert!(HandleRange::new(1, super::super::HOSTS).is_none());
    }
}
