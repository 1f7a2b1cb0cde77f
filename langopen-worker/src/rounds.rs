//! The loop of everything that waits for due work: runs, webhook deliveries and crons.

use std::sync::Arc;
use std::time::Duration;

use langopen_core::{Clock, Timestamp};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// The shortest pause while work waits for its due time. It is never zero: a clock that is set back must not cause a
/// busy loop.
const SHORTEST: Duration = Duration::from_millis(1);

/// The next step after a round.
pub(crate) enum Next {
    /// Another round at once: more work may be due.
    Again,
    /// Another round after a wake-up, and after this pause in any case.
    After(Duration),
    /// No further round.
    Stop,
}

/// Does rounds until `stop`. A round that has begun runs to its end, so no claimed work is lost.
pub(crate) async fn rounds<F>(wakes: Arc<Notify>, stop: &CancellationToken, mut round: impl FnMut() -> F)
where
    F: Future<Output = Next>,
{
    while !stop.is_cancelled() {
        // Register for wake-ups before the round, so that work that is created during the round wakes the loop.
        let woken = wakes.notified();
        tokio::pin!(woken);
        woken.as_mut().enable();
        let pause = match round().await {
            Next::Again => continue,
            Next::After(pause) => pause,
            Next::Stop => return,
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = woken => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// The pause until the next work is due, at most `longest`.
pub(crate) fn pause_until(next_due: Option<Timestamp>, clock: &dyn Clock, longest: Duration) -> Duration {
    next_due.map_or(longest, |due| due.since(clock.now()).clamp(SHORTEST, longest))
}

/// Waits for a free slot, then takes all free slots. `None` after `stop`.
pub(crate) async fn free_slots(slots: &Arc<Semaphore>, stop: &CancellationToken) -> Option<Vec<OwnedSemaphorePermit>> {
    let first = tokio::select! {
        () = stop.cancelled() => return None,
        // The semaphore is never closed.
        first = Arc::clone(slots).acquire_owned() => first.ok()?,
    };
    let mut free = vec![first];
    free.extend(std::iter::from_fn(|| Arc::clone(slots).try_acquire_owned().ok()));
    Some(free)
}

#[cfg(test)]
mod tests {
    use langopen_core::clock::ManualClock;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wake_up_during_a_round_begins_the_next_one_at_once() {
        let (wakes, stop) = (Arc::new(Notify::new()), CancellationToken::new());
        let begin = tokio::time::Instant::now();
        let mut count = 0;
        let round = || {
            count += 1;
            match count {
                1 => wakes.notify_waiters(),
                2 => return std::future::ready(Next::Again),
                _ => stop.cancel(),
            }
            std::future::ready(Next::After(Duration::from_secs(60)))
        };
        rounds(Arc::clone(&wakes), &stop, round).await;
        assert_eq!((count, begin.elapsed()), (3, Duration::ZERO));
    }

    #[tokio::test]
    async fn all_free_slots_are_taken_and_a_stop_ends_the_wait() {
        let (slots, stop) = (Arc::new(Semaphore::new(3)), CancellationToken::new());
        let free = free_slots(&slots, &stop).await;
        assert_eq!(free.as_ref().map(Vec::len), Some(3));
        stop.cancel();
        assert!(free_slots(&slots, &stop).await.is_none());
    }

    #[test]
    fn a_pause_is_neither_zero_nor_too_long() {
        let clock = ManualClock::new(Timestamp::from_micros(1_000_000));
        let pause = |due| pause_until(due, &clock, Duration::from_secs(1));
        assert_eq!(pause(None), Duration::from_secs(1));
        assert_eq!(pause(Some(clock.now())), SHORTEST);
        assert_eq!(pause(Some(clock.now().plus(Duration::from_secs(60)))), Duration::from_secs(1));
    }
}
