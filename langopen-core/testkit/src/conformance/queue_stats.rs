//! The queue's figures.

use langopen_core::queue::QueueStats;

use super::Fixture;
use super::support::{LEASE, SECOND, foreign, outcome, thread_id};

async fn stats(backend: &Fixture) -> QueueStats {
    backend.queue().stats().await.expect("the queue's figures")
}

/// Without runs in flight there are no waits; ended runs do not count.
pub async fn an_empty_queue_has_no_waits(backend: &Fixture) {
    assert_eq!(stats(backend).await, QueueStats::default());
    let claim = backend.running(thread_id()).await;
    assert_eq!(stats(backend).await, QueueStats { running: 1, ..QueueStats::default() });
    backend.queue().finish(claim.lease(), outcome()).await.expect("finish");
    assert_eq!(stats(backend).await, QueueStats::default());
}

/// A run's wait starts when it becomes due. A delayed run is pending but has no wait. The median of an even number of
/// waits is the midpoint of the middle two.
pub async fn waits_are_counted_from_when_a_run_is_due(backend: &Fixture) {
    for _ in 0..3 {
        backend.add_run(thread_id()).await;
        backend.clock.advance(SECOND * 2);
    }
    backend.enqueue(backend.delayed_run(thread_id(), SECOND * 10)).await;
    let three = QueueStats {
        pending: 4,
        running: 0,
        wait_max: Some(SECOND * 6),
        wait_median: Some(SECOND * 4),
        unblocked_wait_max: Some(SECOND * 6),
    };
    assert_eq!(stats(backend).await, three);
    backend.clock.advance(SECOND * 11);
    let wait_median = Some((SECOND * 15 + SECOND * 13) / 2);
    let wait_max = Some(SECOND * 17);
    assert_eq!(stats(backend).await, QueueStats { wait_max, wait_median, unblocked_wait_max: wait_max, ..three });
}

/// A run behind another run of its thread waits, but not for a worker. A run with an expired lease still counts as
/// running.
pub async fn a_blocked_run_counts_as_waiting_only(backend: &Fixture) {
    let id = thread_id();
    let first = backend.running(id).await;
    backend.add_run(id).await;
    backend.clock.advance(SECOND);
    backend.add_run(id).await;
    backend.clock.advance(SECOND);
    let blocked = QueueStats {
        pending: 2,
        running: 1,
        wait_max: Some(SECOND * 2),
        wait_median: Some(SECOND * 3 / 2),
        unblocked_wait_max: None,
    };
    assert_eq!(stats(backend).await, blocked);
    backend.add_run(thread_id()).await;
    backend.clock.advance(SECOND);
    let free = stats(backend).await;
    assert_eq!((free.pending, free.unblocked_wait_max), (3, Some(SECOND)));
    backend.queue().finish(first.lease(), outcome()).await.expect("finish");
    let next = stats(backend).await;
    assert_eq!((next.running, next.unblocked_wait_max), (0, Some(SECOND * 3)), "the thread's next run is free");
    backend.claim_all().await;
    backend.clock.advance(LEASE * 2);
    assert_eq!(stats(backend).await.running, 2);
}

/// The figures cover all tenants.
pub async fn every_tenant_counts(backend: &Fixture) {
    backend.add_run(thread_id()).await;
    backend.queue().enqueue(&foreign(), backend.new_run(thread_id())).await.expect("a new run");
    assert_eq!(stats(backend).await.pending, 2);
}
