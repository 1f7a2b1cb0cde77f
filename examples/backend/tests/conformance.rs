//! The whole conformance suite: every promise of every trait.

use std::sync::Arc;
use std::time::Duration;

use backend::{MyBackend, MyEventLog};
use langopen_core::clock::{ManualClock, Timestamp};
use langopen_testkit::conformance::{CASES, Capabilities, Fixture, run_all};

const RETENTION: Duration = Duration::from_secs(60);

/// A new, empty backend whose time the tests control.
async fn new() -> Fixture {
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_763_900_000_000_000)));
    let events = Arc::new(MyEventLog::new(clock.clone(), RETENTION));
    Fixture::new(clock.clone()).with_database(Arc::new(MyBackend::new(clock))).with_event_log(events)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_trait_keeps_its_promises() {
    // The example lacks no capability, so every case runs.
    let capabilities = Capabilities::default().with_similarity().with_retention(RETENTION).with_hints();
    let report = run_all(new, &capabilities).await;
    assert_eq!(report.left_out, []);
    assert_eq!(report.passed.len(), CASES.len());
}
