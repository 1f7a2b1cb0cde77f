//! The conformance suites of single traits, over a backend that has nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use langopen_backends::memory::{Memory, MemoryEventLog};
use langopen_core::clock::{ManualClock, Timestamp};
use langopen_testkit::conformance::{CASES, Capabilities, Case, Fixture, Need, run, run_all};

const RETENTION: Duration = Duration::from_secs(60);

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_micros(1_763_900_000_000_000)))
}

/// A backend that has only what the case names.
fn only(case: &Case) -> Fixture {
    let clock = clock();
    let memory = Arc::new(Memory::with_clock(clock.clone()));
    let event_log = MemoryEventLog::new().with_clock(clock.clone()).with_retention(RETENTION);
    let (mut fixture, mut capabilities) = (Fixture::new(clock), Capabilities::default());
    for need in case.needs {
        fixture = match need {
            Need::Assistants => fixture.with_assistants(memory.clone()),
            Need::Threads => fixture.with_threads(memory.clone()),
            Need::Runs => fixture.with_runs(memory.clone()),
            Need::Checkpoints => fixture.with_checkpoints(memory.clone()),
            Need::StoreItems => fixture.with_store_items(memory.clone()),
            Need::Crons => fixture.with_crons(memory.clone()),
            Need::Deployments => fixture.with_deployments(memory.clone()),
            Need::ApiKeys => fixture.with_api_keys(memory.clone()),
            Need::Queue => fixture.with_queue(memory.clone()),
            Need::Outbox => fixture.with_outbox(memory.clone()),
            Need::EventLog => fixture.with_event_log(Arc::new(event_log.clone())),
            Need::Similarity => {
                capabilities = capabilities.with_similarity();
                fixture
            }
            Need::Retention => {
                capabilities = capabilities.with_retention(RETENTION);
                fixture
            }
            Need::Hints => {
                capabilities = capabilities.with_hints();
                fixture
            }
            other => panic!("add {other:?} here"),
        };
    }
    fixture.with_capabilities(&capabilities)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_case_names_all_that_it_uses() {
    let mut failed = Vec::new();
    for case in CASES {
        if std::panic::AssertUnwindSafe((case.run)(only(case))).catch_unwind().await.is_err() {
            failed.push(case.name);
        }
    }
    assert!(failed.is_empty(), "these cases use more than they name: {failed:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trait_is_tested_alone() {
    let items = async || {
        let clock = clock();
        Fixture::new(clock.clone()).with_store_items(Arc::new(Memory::with_clock(clock)))
    };
    let plain = run(Need::StoreItems, items, &Capabilities::default()).await;
    assert!(plain.passed.contains(&"store_items::items_expire"), "{plain:?}");
    let lacks: BTreeSet<_> = plain.left_out.iter().map(|(name, lacks)| (*name, format!("{lacks:?}"))).collect();
    let expected = [
        ("queue_leases::a_lost_lease_changes_no_item", "[Threads, Queue]".to_owned()),
        ("store_items::search_finds_the_nearest_first", "[Similarity]".to_owned()),
    ];
    assert_eq!(lacks, BTreeSet::from(expected));
    let ranking = run(Need::StoreItems, items, &Capabilities::default().with_similarity()).await;
    assert_eq!(ranking.passed.len(), plain.passed.len() + 1);
}

#[tokio::test]
#[should_panic(expected = "does not have every trait")]
async fn the_whole_suite_leaves_no_trait_out() {
    run_all(async || Fixture::new(clock()), &Capabilities::default()).await;
}
