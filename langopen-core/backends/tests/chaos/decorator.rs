//! What the decorator does, and that it does nothing if all rates are zero.

use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use langopen_backends::memory::{Memory, MemoryEventLog};
use langopen_core::clock::{ManualClock, Timestamp};
use langopen_core::event_log::{EventId, LogKey, NewEvent, ReadFrom};
use langopen_core::model::{IfExists, NewThread};
use langopen_core::storage::{Crons, Threads};
use langopen_core::*;
use langopen_testkit::chaos::{Chaos, Rates};
use langopen_testkit::conformance::{Capabilities, Fixture, Need, Report, run_all};
use uuid::Uuid;

fn certain(rates: Rates) -> Chaos {
    Chaos::new(1, rates)
}

fn new_thread() -> NewThread {
    NewThread { thread_id: ThreadId(Uuid::now_v7()), metadata: JsonMap::new(), ttl: None }
}

const RETENTION: Duration = Duration::from_secs(60);

/// Runs the whole suite over a decorated backend.
async fn conformance(chaos: &Chaos, capabilities: Capabilities) -> Report {
    let new = async || {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_763_900_000_000_000)));
        let memory = Arc::new(Memory::with_clock(clock.clone()));
        let event_log = MemoryEventLog::new().with_clock(clock.clone()).with_retention(RETENTION);
        Fixture::new(clock).with_database(chaos.around(memory)).with_event_log(chaos.around(Arc::new(event_log)))
    };
    run_all(new, &capabilities.with_similarity().with_retention(RETENTION)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_calm_decorator_keeps_every_promise() {
    let chaos = Chaos::new(0, Rates::default());
    let report = conformance(&chaos, Capabilities::default().with_hints()).await;
    assert_eq!((report.left_out.len(), chaos.counts().faults()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_without_hints_keeps_every_other_promise() {
    let chaos = certain(Rates { lost_hint: 1.0, ..Rates::default() });
    let report = conformance(&chaos, Capabilities::default()).await;
    let lacks: Vec<_> = report.left_out.iter().map(|(_, lacks)| lacks.as_slice()).collect();
    assert_eq!(lacks, [[Need::Hints]; 3]);
}

#[tokio::test]
async fn a_refused_call_did_nothing_and_an_unanswered_one_did_its_work() {
    let (memory, scope) = (Arc::new(Memory::new()), Scope::default());
    let refusing: Arc<dyn Storage> = certain(Rates { refused: 1.0, ..Rates::default() }).around(memory.clone());
    let mute: Arc<dyn Storage> = certain(Rates { unanswered: 1.0, ..Rates::default() }).around(memory.clone());
    let plain: Arc<dyn Storage> = memory;
    for (storage, is_there) in [(refusing, false), (mute, true)] {
        let new = new_thread();
        let error = storage.create_thread(&scope, new.clone(), IfExists::Raise).await.unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Unavailable, "threads.create"));
        assert_eq!(plain.thread(&scope, new.thread_id).await.unwrap().is_some(), is_there);
    }
}

#[tokio::test(start_paused = true)]
async fn a_delayed_call_takes_its_time() {
    let rates = Rates { delayed: 1.0, longest: Duration::from_secs(3600), ..Rates::default() };
    let storage = certain(rates).around(Arc::new(Memory::new()));
    let start = tokio::time::Instant::now();
    for _ in 0..100 {
        Threads::thread(storage.as_ref(), &Scope::default(), new_thread().thread_id).await.unwrap();
    }
    // Each call takes half an hour on average.
    let hours = start.elapsed().as_secs() / 3600;
    assert!((40..60).contains(&hours), "{hours} hours");
}

#[tokio::test]
async fn a_broken_reader_fails_and_an_end_stays_an_end() {
    let log = LogKey { thread_id: ThreadId(Uuid::now_v7()), run_id: RunId(Uuid::now_v7()) };
    let events = Arc::new(MemoryEventLog::new());
    let event = NewEvent { name: "values".into(), data: "{}".into() };
    events.append(log, 1, true, vec![event; 3]).await.unwrap();
    events.end(log).await.unwrap();
    let chaos = certain(Rates { broken: 0.5, ..Rates::default() });
    let reading = chaos.around(events);
    let (mut broken, mut whole) = (0, 0);
    for _ in 0..200 {
        let items: Vec<_> = reading.read(log, ReadFrom::After(EventId::ZERO)).await.unwrap().collect().await;
        match items.last().unwrap() {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable);
                broken += 1;
            }
            Ok(_) => {
                assert_eq!(items.len(), 3, "a stream that ends is complete");
                whole += 1;
            }
        }
    }
    assert_eq!(broken, chaos.counts().broken);
    // On average, one in eight streams is complete.
    assert!((10..50).contains(&whole), "{whole}");
}

#[tokio::test]
async fn some_hints_come_and_some_are_lost() {
    let memory = Arc::new(Memory::new());
    let all = certain(Rates::default()).around(memory.clone());
    let none = certain(Rates { lost_hint: 1.0, ..Rates::default() });
    let wakes = Crons::cron_wakes(all.as_ref());
    let lost = none.around(Arc::new(Memory::new()));
    let silent = Crons::cron_wakes(lost.as_ref());
    Crons::cron_wakes(memory.as_ref()).notify_one();
    wakes.notified().await;
    Crons::cron_wakes(lost.inner().as_ref()).notify_one();
    while none.counts().lost_hints == 0 {
        tokio::task::yield_now().await;
    }
    assert!(silent.notified().now_or_never().is_none());
}
