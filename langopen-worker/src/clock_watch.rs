//! A clock that is set forward by mistake must not make the worker remove what has not expired, or pass over what is
//! not due.

use std::time::Duration;

use langopen_core::{Clock, Timestamp};
use tracing::warn;

/// A clock may drift, and be put right, by this much.
const TOLERANCE_MICROS: i64 = 60_000_000;

/// Compares a clock with the time that passes, and distrusts it for a while after it was set forward. Who set it by
/// mistake has that long to put it right.
pub(crate) struct ClockWatch {
    what: &'static str,
    patience: Duration,
    /// By how much the clock was ahead of the time that passes when it was trusted last.
    trusted: i64,
    /// When, on the steady scale, it was first seen further ahead.
    distrusted: Option<Timestamp>,
}

impl ClockWatch {
    /// `what` waits after a jump, for `patience`.
    pub(crate) fn new(what: &'static str, patience: Duration, clock: &dyn Clock) -> Self {
        Self { what, patience, trusted: ahead(clock), distrusted: None }
    }

    /// Whether to act on the clock now.
    pub(crate) fn trusts(&mut self, clock: &dyn Clock) -> bool {
        let (ahead, steady) = (ahead(clock), clock.steady());
        if ahead <= self.trusted.saturating_add(TOLERANCE_MICROS) {
            self.distrusted = None;
            return true;
        }
        let Some(since) = self.distrusted else {
            let seconds = (ahead - self.trusted) / 1_000_000;
            warn!(what = self.what, seconds, wait = ?self.patience, "the clock was set forward; waiting, in case it is put right");
            self.distrusted = Some(steady);
            return false;
        };
        let over = steady.since(since) >= self.patience;
        if over {
            (self.trusted, self.distrusted) = (ahead, None);
        }
        over
    }
}

fn ahead(clock: &dyn Clock) -> i64 {
    clock.now().as_micros().saturating_sub(clock.steady().as_micros())
}

#[cfg(test)]
mod tests {
    use langopen_core::clock::ManualClock;

    use super::*;

    #[test]
    fn a_clock_that_was_set_forward_is_distrusted_for_a_while() {
        let clock = ManualClock::new(Timestamp::from_micros(1_000_000_000));
        let hour = Duration::from_secs(3600);
        let set = |hours: i64| {
            clock.set(Timestamp::from_micros(clock.now().as_micros() + hours * 3_600_000_000));
        };
        let mut watch = ClockWatch::new("sweeps", hour, &clock);
        clock.advance(hour * 24);
        assert!(watch.trusts(&clock), "time has passed");
        set(5);
        assert!(!watch.trusts(&clock), "it was set forward");
        clock.advance(hour / 2);
        assert!(!watch.trusts(&clock));
        set(-5);
        assert!(watch.trusts(&clock), "it was put right");
        set(-2);
        assert!(watch.trusts(&clock), "nothing expires early by a clock that was set back");
        set(2 + 5);
        assert!(!watch.trusts(&clock));
        clock.advance(hour);
        assert!(watch.trusts(&clock), "nobody put it right, so it is right");
        assert!(watch.trusts(&clock));
    }
}
