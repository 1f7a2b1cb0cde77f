//! Until when a lease is surely this worker's.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

/// How long a lease is surely held: counted from before it was asked for, on the machine's monotonic clock, which goes
/// on while the process stands still.
///
/// The queue and the event log refuse what a lost lease writes once its successor has begun. Between the end of a lease
/// and that, a worker that was held up must not go on either: its events would come a second time from the next
/// attempt.
#[derive(Clone)]
pub(crate) struct Held(Arc<watch::Sender<Instant>>);

impl Held {
    pub(crate) fn until(moment: Instant) -> Self {
        Self(Arc::new(watch::Sender::new(moment)))
    }

    /// The lease was extended.
    pub(crate) fn extend(&self, until: Instant) {
        self.0.send_if_modified(|held| std::mem::replace(held, until.max(*held)) < until);
    }

    /// Waits until a heartbeat confirms the lease, if it may have expired. A heartbeat that finds it lost ends the
    /// run's task.
    pub(crate) async fn sure(&self) {
        let mut until = self.0.subscribe();
        while *until.borrow_and_update() <= Instant::now() {
            // The sender is ours, so it is there.
            let _ = until.changed().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_lease_that_is_over_is_waited_for() {
        let now = Instant::now();
        let held = Held::until(now);
        let mut waiting = Box::pin(held.sure());
        assert!(waiting.as_mut().now_or_never().is_none());
        held.extend(now);
        assert!(waiting.as_mut().now_or_never().is_none());
        held.extend(now + Duration::from_secs(3600));
        waiting.await;
        assert!(held.sure().now_or_never().is_some());
    }
}
