//! The time until which this worker certainly holds a lease.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

/// The time until which this worker certainly holds a lease. It counts from before the request for the lease, on the
/// machine's monotonic clock, which continues while the process is suspended.
///
/// The queue and the event log refuse the writes of a lost lease once the next attempt has begun. Between the expiry
/// and that moment, a suspended worker must not write either: the next attempt would produce the same events again.
#[derive(Clone)]
pub(crate) struct Held(Arc<watch::Sender<Instant>>);

impl Held {
    pub(crate) fn until(moment: Instant) -> Self {
        Self(Arc::new(watch::Sender::new(moment)))
    }

    /// Records an extension of the lease.
    pub(crate) fn extend(&self, until: Instant) {
        self.0.send_if_modified(|held| std::mem::replace(held, until.max(*held)) < until);
    }

    /// If the lease may have expired, waits until a heartbeat confirms it. A heartbeat that finds the lease lost ends
    /// the run's task.
    pub(crate) async fn sure(&self) {
        let mut until = self.0.subscribe();
        while *until.borrow_and_update() <= Instant::now() {
            // `self` owns the sender, so the channel is open.
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
