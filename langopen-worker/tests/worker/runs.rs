//! The run loop: claims, ends, cancels, leases and slots.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::stream::{self};
use futures::{FutureExt, StreamExt};
use langopen_backends::memory::{Memory, MemoryEventLog};
use langopen_core::executor::{ResultState, RunResult, RunResultStatus};
use langopen_core::model::{CancelAction, CancelRequest, RunError, ThreadStatus};
use langopen_core::storage::{Runs, Threads};
use langopen_core::{Backend, Clock, Queue, RunStatus, Scope, SystemClock, Tenant};
use langopen_testkit::chaos::{Chaos, Rates};
use langopen_worker::{Worker, WorkerSettings};
use parking_lot::Mutex;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::bench::*;

#[tokio::test]
async fn only_runs_that_the_executor_can_take_are_claimed() {
    let able = Arc::new(Mutex::new(vec![Tenant::new("acme", "web", "prod").unwrap()]));
    let script: Script =
        Arc::new(|_| async { Ok(stream::iter([done(result(RunResultStatus::Success))]).boxed()) }.boxed());
    let bench = Bench::with(WorkerSettings::default(), Scripted { script, tenants: Some(Arc::clone(&able)) });
    let (thread_id, run_id, events) = bench.create().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(bench.row(thread_id, run_id).await.unwrap().status, RunStatus::Pending);
    able.lock().push(Tenant::default());
    events.await.unwrap();
    assert_eq!(bench.row(thread_id, run_id).await.unwrap().status, RunStatus::Success);
    bench.stop().await;
}

#[tokio::test]
async fn a_run_is_executed_and_its_end_is_committed_before_its_stream_ends() {
    let bench = Bench::start(settings(), |_| {
        let state = ResultState { checkpoint_id: None, values: json!({"n": 1}).into(), rest: json!({}).into() };
        vec![event("values"), done(RunResult { state: Some(state), ..result(RunResultStatus::Success) })]
    });
    let (thread_id, run_id, events) = bench.create().await;
    let events = events.await.unwrap();
    assert_eq!(names(&events), ["metadata", "values"]);
    assert_eq!(events[0].1, format!(r#"{{"run_id":"{run_id}","attempt":1}}"#));
    assert_eq!(bench.row(thread_id, run_id).await.unwrap().status, RunStatus::Success);
    let thread = bench.memory.thread(&Scope::default(), thread_id).await.unwrap().unwrap();
    assert_eq!(thread.status, ThreadStatus::Idle);
    assert_eq!(thread.values.unwrap().as_str(), r#"{"n":1}"#);
    bench.stop().await;
}

#[tokio::test]
async fn a_graph_that_fails_ends_its_run_with_an_error_event() {
    let bench = Bench::start(settings(), |_| {
        let error = Some(RunError { error: "ValueError".to_owned(), message: "no".to_owned() });
        let thread_status = ThreadStatus::Error;
        vec![done(RunResult { error, thread_status, ..result(RunResultStatus::Error) })]
    });
    let (thread_id, run_id, events) = bench.create().await;
    let events = events.await.unwrap();
    assert_eq!(names(&events), ["metadata", "error"]);
    assert_eq!(events[1].1, r#"{"error":"ValueError","message":"no"}"#);
    assert_eq!(bench.row(thread_id, run_id).await.unwrap().status, RunStatus::Error);
    bench.stop().await;
}

#[tokio::test]
async fn runs_wait_for_an_event_log_that_does_not_answer() {
    let memory = Memory::new();
    let chaos = Chaos::new(7, Rates { refused: 1.0, ..Rates::default() });
    let script: Script =
        Arc::new(|_| async { Ok(stream::iter([done(result(RunResultStatus::Success))]).boxed()) }.boxed());
    let events = Arc::new(MemoryEventLog::new());
    let backend = Backend::new(Arc::new(memory.clone()), chaos.around(events.clone()));
    let executor = Arc::new(Scripted { script, tenants: None });
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Worker::new(backend, executor, settings()).run(stop.clone()));
    let bench = Bench { memory, events, stop, worker };
    let (thread_id, run_id, _events) = bench.create().await;
    // Longer than all counted attempts take.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    chaos.calm();
    wait_for_status(&bench, thread_id, run_id, RunStatus::Success).await;
    bench.stop().await;
}

#[tokio::test]
async fn a_cancel_reaches_the_graph_and_the_stream_ends_silently() {
    for action in [CancelAction::Interrupt, CancelAction::Rollback] {
        let bench = Bench::start_async(settings(), until_cancelled);
        let (thread_id, run_id, events) = bench.create().await;
        wait_for_status(&bench, thread_id, run_id, RunStatus::Running).await;
        let request = CancelRequest { action, reason: "by the test".to_owned() };
        bench.memory.cancel(&Scope::default(), thread_id, run_id, request).await.unwrap();
        assert_eq!(names(&events.await.unwrap()), ["metadata", "values"]);
        let thread = bench.memory.thread(&Scope::default(), thread_id).await.unwrap().unwrap();
        let error: RunError = thread.error.unwrap().decode().unwrap();
        assert_eq!((error.error.as_str(), error.message.as_str()), (action.error_class(), "by the test"));
        match action {
            CancelAction::Interrupt => {
                assert_eq!(bench.row(thread_id, run_id).await.unwrap().status, RunStatus::Interrupted);
            }
            CancelAction::Rollback => assert!(bench.row(thread_id, run_id).await.is_none()),
        }
        bench.stop().await;
    }
}

#[tokio::test]
async fn a_run_that_takes_too_long_times_out() {
    let settings = settings().with_run_timeout(Duration::from_millis(50));
    let bench = Bench::start_async(settings, until_cancelled);
    let (thread_id, run_id, events) = bench.create().await;
    let events = events.await.unwrap();
    assert_eq!(names(&events), ["metadata", "values", "error"]);
    assert_eq!(bench.row(thread_id, run_id).await.unwrap().status, RunStatus::Timeout);
    bench.stop().await;
}

#[tokio::test]
async fn a_worker_that_stops_hands_back_what_does_not_end_in_time() {
    let bench = Bench::start_async(settings(), until_cancelled);
    let (thread_id, run_id, _) = bench.create().await;
    wait_for_status(&bench, thread_id, run_id, RunStatus::Running).await;
    let memory = bench.memory.clone();
    bench.stop().await;
    let row = memory.run(&Scope::default(), thread_id, run_id).await.unwrap().unwrap();
    assert_eq!((row.status, row.attempt), (RunStatus::Pending, 1));
}

#[tokio::test]
async fn a_long_run_keeps_its_lease() {
    let started = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&started);
    let bench = Bench::start_async(settings(), move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        async {
            let end = async {
                tokio::time::sleep(Duration::from_millis(1200)).await;
                done(result(RunResultStatus::Success))
            };
            Ok(end.into_stream().boxed())
        }
        .boxed()
    });
    let (thread_id, run_id, events) = bench.create().await;
    events.await.unwrap();
    assert_eq!(started.load(Ordering::SeqCst), 1, "executed once, although it took four times its lease");
    assert_eq!(bench.row(thread_id, run_id).await.unwrap().status, RunStatus::Success);
    bench.stop().await;
}

#[tokio::test]
async fn no_more_runs_than_slots_execute_at_once() {
    let (now, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let peak = Arc::clone(&most);
    let bench = Bench::start_async(settings().with_concurrency(3), move |_| {
        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
        async move {
            let end = async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(20)).await;
                now.fetch_sub(1, Ordering::SeqCst);
                done(result(RunResultStatus::Success))
            };
            Ok(end.into_stream().boxed())
        }
        .boxed()
    });
    let mut runs = Vec::new();
    for _ in 0..12 {
        runs.push(bench.create().await);
    }
    for (thread_id, run_id, events) in runs {
        events.await.unwrap();
        assert_eq!(bench.row(thread_id, run_id).await.unwrap().status, RunStatus::Success);
    }
    assert_eq!(peak.load(Ordering::SeqCst), 3);
    bench.stop().await;
}

#[tokio::test]
async fn a_delayed_run_starts_when_the_queues_clock_says_so() {
    let clock = Arc::new(langopen_core::clock::ManualClock::new(SystemClock.now()));
    let memory = Memory::with_clock(clock.clone());
    let events = Arc::new(MemoryEventLog::new());
    let script: Script =
        Arc::new(|_| async { Ok(stream::iter([done(result(RunResultStatus::Success))]).boxed()) }.boxed());
    let executor = Scripted { script, tenants: None };
    let backend = Backend::new(Arc::new(memory.clone()), events.clone()).with_clock(clock.clone());
    let executor = Arc::new(executor);
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Worker::new(backend, executor, settings()).run(stop.clone()));
    let bench = Bench { memory, events, stop, worker };
    let hour = Duration::from_secs(3600);
    let (thread_id, run_id, events) = bench.create_at(clock.now().plus(hour)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(bench.row(thread_id, run_id).await.unwrap().status, RunStatus::Pending);
    clock.advance(hour);
    assert_eq!(names(&events.await.unwrap()), ["metadata"]);
    assert_eq!(bench.row(thread_id, run_id).await.unwrap().status, RunStatus::Success);
    bench.stop().await;
}
