//! Limits the rate of a deployment's requests.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

/// The rate limit of one deployment. A burst may use one second's allowance at once. It uses a monotonic clock.
pub(crate) struct Rate<C: Clock = DefaultClock> {
    limit: NonZeroU32,
    clock: C,
    limiter: RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<C::Instant>>,
}

impl Rate {
    pub(crate) fn new(limit: NonZeroU32) -> Self {
        Self::with_clock(limit, DefaultClock::default())
    }
}

impl<C: Clock + Clone> Rate<C> {
    fn with_clock(limit: NonZeroU32, clock: C) -> Self {
        let limiter = RateLimiter::direct_with_clock(Quota::per_second(limit), clock.clone());
        Self { limit, clock, limiter }
    }

    /// The number of requests per second.
    pub(crate) fn limit(&self) -> NonZeroU32 {
        self.limit
    }

    /// Counts a request; or, if the limit is reached, returns how long to wait.
    pub(crate) fn check(&self) -> Result<(), Duration> {
        self.limiter.check().map_err(|until| until.wait_time_from(self.clock.now()))
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    #[test]
    fn a_second_takes_so_many_and_the_next_as_many_again() {
        let clock = FakeRelativeClock::default();
        let rate = Rate::with_clock(NonZeroU32::new(3).unwrap(), clock.clone());
        for _ in 0..2 {
            assert_eq!([(); 4].map(|()| rate.check().is_ok()), [true, true, true, false]);
            assert!(rate.check().unwrap_err() <= Duration::from_secs(1));
            clock.advance(Duration::from_secs(1));
        }
    }
}
