//! Detects a clock that was set forward by mistake, so that the worker neither removes rows too early nor skips crons.

use std::time::Duration;

use langopen_core::{Clock, Timestamp};
use tracing::warn;

/// The drift, or correction, of the clock that the watch tolerates.
const TOLERANCE_MICROS: i64 = 60_000_000;

/// Compares the wall clock with the monotonic clock. After the wall clock was set forward, the watch distrusts it for a
/// while, so that an operator can correct a mistake.
pub(crate) struct ClockWatch {
    what: &'static str,
    patience: Duration,
    /// How far the wall clock was ahead of the monotonic clock when the watch last trusted it.
    trusted: i64,
    /// The monotonic time at which the watch first saw the jump.
    distrusted: Option<Timestamp>,
}

impl ClockWatch {
    /// A watch for `what`, the activity that waits for `patience` after a jump.
    pub(crate) fn new(what: &'static str, patience: Duration, clock: &dyn Clock) -> Self {
        Self { what, patience, trusted: ahead(clock), distrusted: None }
    }

    /// Whether the caller may act on the wall clock now.
    pub(crate) fn trusts(&mut self, clock: &dyn Clock) -> bool {
        let (ahead, steady) = (ahead(clock), clock.steady());
        if ahead <= self.trusted.saturating_add(TOLERANCE_MICROS) {
            self.distrusted = None;
            return true;
        }
        let Some(since) = self.distrusted else {
            let seconds = (ahead - self.trusted) / 1_000_000;
            warn!(what = self.what, seconds, wait = ?self.patience, "the clock was set forward; waiting in case it is corrected");
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
        assert!(watch.trusts(&clock), "it was corrected");
        set(-2);
        assert!(watch.trusts(&clock), "nothing expires early by a clock that was set back");
        set(2 + 5);
        assert!(!watch.trusts(&clock));
        clock.advance(hour);
        assert!(watch.trusts(&clock), "it was not corrected, so it is right");
        assert!(watch.trusts(&clock));
    }
}
