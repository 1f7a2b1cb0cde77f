//! Attempts that are lost: which are tried again, and which count against their run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use langopen_core::executor::{AttemptLost, Blame, RunOutput, RunResultStatus};
use langopen_core::{Error, Result, RunStatus};

use crate::bench::*;

#[tokio::test]
async fn a_lost_execution_is_tried_again_and_keeps_the_events_before_the_loss() {
    let tries = Arc::new(AtomicU32::new(0));
    let bench = Bench::start(settings(), move |job| match tries.fetch_add(1, Ordering::SeqCst) {
        0 => vec![event("values"), Err(Error::unavailable("test", "the host died"))],
        _ => {
            assert_eq!(job.run.attempt, 2);
            vec![event("updates"), done(result(RunResultStatus::Success))]
        }
    });
    let (thread_id, run_id, events) = bench.create().await;
    let events = events.await.unwrap();
    assert_eq!(names(&events), ["metadata", "values", "metadata", "updates"]);
    assert_eq!(events[2].1, format!(r#"{{"run_id":"{run_id}","attempt":2}}"#));
    assert_eq!(bench.row(thread_id, run_id).await.unwrap().status, RunStatus::Success);
    bench.stop().await;
}

#[tokio::test]
async fn a_run_that_is_lost_every_time_is_given_up() {
    let bench = Bench::start(settings().with_max_attempts(2), |_| vec![event("values")]);
    let (thread_id, run_id, events) = bench.create().await;
    let events = events.await.unwrap();
    assert_eq!(names(&events), ["metadata", "values", "metadata", "values", "error"]);
    assert!(events[4].1.contains("RunLost"), "{}", events[4].1);
    assert_eq!(bench.row(thread_id, run_id).await.unwrap().status, RunStatus::Error);
    bench.stop().await;
}

fn lost(blame: Blame) -> Result<RunOutput> {
    Err(AttemptLost::new(blame, "the graph host ended with signal: 9 (SIGKILL)").into())
}

#[tokio::test]
async fn a_bystander_loses_no_attempt() {
    let tries = Arc::new(AtomicU32::new(0));
    let bench = Bench::start(settings().with_max_attempts(1), move |job| match tries.fetch_add(1, Ordering::SeqCst) {
        0..3 => vec![lost(Blame::Bystander)],
        _ => {
            assert_eq!((job.run.attempt, job.suspect), (4, false));
            vec![done(result(RunResultStatus::Success))]
        }
    });
    let (thread_id, run_id, events) = bench.create().await;
    events.await.unwrap();
    assert_eq!(bench.row(thread_id, run_id).await.unwrap().status, RunStatus::Success);
    bench.stop().await;
}

#[tokio::test]
async fn a_run_that_ends_its_host_twice_ends_with_an_error_that_says_so() {
    let tries = Arc::new(AtomicU32::new(0));
    let bench = Bench::start(settings(), move |job| match tries.fetch_add(1, Ordering::SeqCst) {
        0 => vec![lost(Blame::Suspect)],
        _ => {
            assert!(job.suspect, "it is tried alone");
            vec![lost(Blame::Culprit)]
        }
    });
    let (thread_id, run_id, events) = bench.create().await;
    let events = events.await.unwrap();
    assert_eq!(names(&events), ["metadata", "metadata", "error"]);
    assert!(events[2].1.contains("GraphHostDied") && events[2].1.contains("SIGKILL"), "{}", events[2].1);
    let run = bench.row(thread_id, run_id).await.unwrap();
    assert_eq!((run.status, run.attempt), (RunStatus::Error, 2));
    bench.stop().await;
}
