//! The suites of the three traits.

use std::sync::Arc;

use backend::MyBackend;
use langopen_core::clock::{ManualClock, Timestamp};
use langopen_testkit::conformance::{Capabilities, Fixture, Need, run};

/// A new, empty backend whose time the tests control.
async fn new() -> Fixture {
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_763_900_000_000_000)));
    let backend = Arc::new(MyBackend::new(clock.clone()));
    Fixture::new(clock).with_store_items(backend.clone()).with_api_keys(backend.clone()).with_deployments(backend)
}

#[tokio::test]
async fn every_trait_keeps_its_promises() {
    for (subject, passed) in [(Need::StoreItems, 7), (Need::ApiKeys, 4), (Need::Deployments, 2)] {
        let report = run(subject, new, &Capabilities::default()).await;
        assert_eq!(report.passed.len(), passed, "{report:#?}");
        // What needs a queue, or a ranking by vectors, cannot run against this backend.
        for (name, lacks) in report.left_out {
            assert!(lacks.contains(&Need::Queue) || lacks == [Need::Similarity], "{name} lacks {lacks:?}");
        }
    }
}
