//! Workers whose parts all fail at random: each run still ends once, with a complete stream.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use langopen_backends::memory::{Memory, MemoryEventLog};
use langopen_core::event_log::{EventId, LogKey, ReadFrom};
use langopen_core::model::{CancelAction, CancelRequest, MultitaskStrategy, NewRun, RunThread};
use langopen_core::queue::Cancelled;
use langopen_core::storage::Runs;
use langopen_core::{
    AssistantId, Backend, Clock, ErrorKind, EventLog, JsonMap, Outbox, Queue, Result, RunId, RunStatus, Scope,
    SystemClock, ThreadId,
};
use langopen_graph::{FunctionContext, FunctionExecutor};
use langopen_testkit::chaos::{Chaos, Rates};
use langopen_worker::{Worker, WorkerSettings};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const LEASE: Duration = Duration::from_millis(300);
const EVENTS: u64 = 8;
const WORKERS: u64 = 3;
const THREADS: usize = 6;
const RUNS: usize = 48;

/// Some calls take longer than a lease.
const RATES: Rates = Rates {
    refused: 0.03,
    unanswered: 0.03,
    delayed: 0.04,
    lost_hint: 0.3,
    broken: 0.01,
    longest: Duration::from_millis(600),
};

/// The parts without chaos.
#[derive(Clone)]
struct Ground {
    memory: Arc<Memory>,
    events: Arc<MemoryEventLog>,
    starts: Starts,
}

/// Two graphs that count: one ends by itself, one runs until it is cancelled.
fn graphs(starts: &Starts) -> FunctionExecutor {
    let (counting, waiting) = (Arc::clone(starts), Arc::clone(starts));
    FunctionExecutor::new()
        .graph("count", move |run| {
            note(&counting, &run);
            count(run)
        })
        .graph("wait", move |run| {
            note(&waiting, &run);
            wait(run)
        })
}

/// The attempts that began, in order.
type Starts = Arc<Mutex<Vec<(RunId, u32)>>>;

fn note(starts: &Starts, run: &FunctionContext) {
    starts.lock().push((run.run().run_id, run.run().attempt));
}

async fn count(run: FunctionContext) -> Result<Value> {
    for n in 0..EVENTS {
        run.custom(&json!({"attempt": run.run().attempt, "n": n})).await?;
        tokio::task::yield_now().await;
    }
    Ok(json!({}))
}

async fn wait(run: FunctionContext) -> Result<Value> {
    run.custom(&json!({"attempt": run.run().attempt, "n": 0})).await?;
    std::future::pending().await
}

/// The last attempt of a run begins before any attempt of a later run of its thread. A run that is cancelled in time
/// never begins.
fn check_order(starts: &[(RunId, u32)], of_thread: &[RunId]) {
    let of = |run_id: RunId| starts.iter().enumerate().filter(move |(_, start)| start.0 == run_id);
    let began: Vec<_> = of_thread.iter().copied().filter(|run_id| of(*run_id).next().is_some()).collect();
    for pair in began.windows(2) {
        let last = of(pair[0]).max_by_key(|(_, start)| start.1).map(|(place, _)| place);
        let first = of(pair[1]).map(|(place, _)| place).min();
        assert!(last < first, "run {} must begin before {}: {starts:?}", pair[0], pair[1]);
    }
}

fn start(ground: &Ground, chaos: &Chaos, name: String, stop: &CancellationToken) -> tokio::task::JoinHandle<()> {
    let backend = Backend::of(
        chaos.around(ground.memory.clone()),
        chaos.around(ground.memory.clone()),
        chaos.around(ground.events.clone()),
    );
    let executor = chaos.around(Arc::new(graphs(&ground.starts)));
    let settings =
        WorkerSettings::default().with_name(name).with_concurrency(4).with_lease(LEASE).with_max_attempts(1000);
    tokio::spawn(Worker::new(backend, executor, settings).run(stop.clone()))
}

fn new_run(thread_id: ThreadId, graph_id: &str) -> NewRun {
    NewRun {
        run_id: RunId(Uuid::now_v7()),
        thread_id,
        assistant_id: AssistantId::system(graph_id),
        graph_id: graph_id.to_owned(),
        metadata_base: JsonMap::new(),
        metadata_own: JsonMap::new(),
        kwargs: json!({"stream_mode": ["custom"]}).into(),
        multitask_strategy: MultitaskStrategy::Enqueue,
        resumable: true,
        // Each end writes one delivery, so the number of deliveries is the number of ends.
        webhook: Some("https://hooks.example/".to_owned()),
        temporary: false,
        origin: Default::default(),
        available_at: SystemClock.now(),
        thread: RunThread { create: true, metadata: JsonMap::new(), config: JsonMap::new(), ttl: None },
        firing: None,
    }
}

/// Repeats the call until the queue answers.
async fn create(queue: &dyn Queue, new: NewRun) -> LogKey {
    let log = LogKey { thread_id: new.thread_id, run_id: new.run_id };
    loop {
        match queue.enqueue(&Scope::default(), new.clone()).await {
            Ok(_) => return log,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return log,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
        }
    }
}

/// Cancels a run once it is running, and repeats the cancel until it succeeds.
async fn cancel(ground: Ground, log: LogKey) {
    let request = CancelRequest { action: CancelAction::Interrupt, reason: "by the test".to_owned() };
    while status(&ground, log).await == RunStatus::Pending {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    match ground.memory.cancel(&Scope::default(), log.thread_id, log.run_id, request).await {
        // The run was handed back in between, so no worker ends its log.
        Ok(Cancelled::Ended) => ground.events.end(log).await.unwrap(),
        other => drop(other.unwrap()),
    }
}

async fn status(ground: &Ground, log: LogKey) -> RunStatus {
    ground.memory.run(&Scope::default(), log.thread_id, log.run_id).await.unwrap().unwrap().status
}

/// All events of the run, read by a reader that loses its position and reconnects.
async fn read(events: Arc<dyn EventLog>, log: LogKey) -> Vec<(EventId, Value)> {
    let (mut all, mut last) = (Vec::new(), EventId::ZERO);
    loop {
        let Ok(mut stream) = events.read(log, ReadFrom::After(last)).await else { continue };
        loop {
            match stream.next().await {
                Some(Ok(event)) => {
                    last = event.id;
                    all.push((event.id, serde_json::from_slice(&event.data).unwrap()));
                }
                Some(Err(_)) => break,
                None => return all,
            }
        }
    }
}

/// Each attempt counts from 0 without a gap, and each event appears once. If the run succeeded, the stream of the last
/// attempt that called the function is complete.
///
/// It need not be the run's last attempt: the function's result is stored before the run ends. If the end then fails,
/// the next attempt finds the result and ends the run without a call. In every other case, an attempt calls the
/// function: if an attempt lost its lease before its first event, its call was in vain and another attempt counts
/// again.
fn check_stream(events: &[(EventId, Value)], status: RunStatus, called: &[u64], whole: u64) {
    assert!(events.windows(2).all(|pair| pair[0].0 < pair[1].0), "ids must rise: {events:?}");
    let mut counted: HashMap<u64, u64> = HashMap::new();
    let mut begun = Vec::new();
    for (_, event) in events {
        let attempt = event["attempt"].as_u64().unwrap();
        match event["n"].as_u64() {
            None => begun.push(attempt),
            Some(n) => {
                let next = counted.entry(attempt).or_default();
                assert_eq!(n, *next, "attempt {attempt} must count on: {events:?}");
                *next += 1;
            }
        }
    }
    assert!(begun.windows(2).all(|pair| pair[0] < pair[1]), "attempts must rise: {events:?}");
    assert!(counted.keys().all(|attempt| begun.contains(attempt)), "an attempt begins with its metadata: {events:?}");
    assert!(counted.keys().all(|attempt| called.contains(attempt)), "who counts was called: {called:?}, {events:?}");
    if status == RunStatus::Success {
        let last = called.iter().max().and_then(|last| counted.get(last));
        assert_eq!(last, Some(&whole), "the last attempt that was called must be whole: {called:?}, {events:?}");
    }
}

async fn story(seed: u64) {
    let ground =
        Ground { memory: Arc::new(Memory::new()), events: Arc::new(MemoryEventLog::new()), starts: Starts::default() };
    let stop = CancellationToken::new();
    let plans: Vec<_> = (0..=WORKERS).map(|n| Chaos::new(seed * 1000 + n, RATES)).collect();
    let workers: Vec<_> =
        plans[1..].iter().enumerate().map(|(n, chaos)| start(&ground, chaos, format!("worker-{n}"), &stop)).collect();
    let queue = plans[0].around(ground.memory.clone());
    let reading: Arc<dyn EventLog> = plans[0].around(ground.events.clone());
    let threads: Vec<_> = (0..THREADS).map(|_| ThreadId(Uuid::now_v7())).collect();
    let (mut readers, mut cancels) = (Vec::new(), Vec::new());
    for n in 0..RUNS {
        let waits = n % 8 == 7;
        let new = new_run(threads[n % THREADS], if waits { "wait" } else { "count" });
        let log = LogKey { thread_id: new.thread_id, run_id: new.run_id };
        readers.push((log, waits, tokio::spawn(read(reading.clone(), log))));
        create(queue.as_ref(), new).await;
        if waits {
            cancels.push(tokio::spawn(cancel(ground.clone(), log)));
        }
    }
    let (mut told, mut of_threads) = (HashMap::new(), HashMap::<_, Vec<_>>::new());
    for (log, waits, reader) in readers {
        let events = reader.await.unwrap();
        let ended = status(&ground, log).await;
        assert_eq!(ended, if waits { RunStatus::Interrupted } else { RunStatus::Success });
        let starts = ground.starts.lock().clone();
        let called = starts.iter().filter(|(run_id, _)| *run_id == log.run_id).map(|(_, attempt)| u64::from(*attempt));
        check_stream(&events, ended, &called.collect::<Vec<_>>(), EVENTS);
        told.insert(log.run_id, 0);
        of_threads.entry(log.thread_id).or_default().push(log.run_id);
    }
    futures::future::join_all(cancels).await.into_iter().for_each(Result::unwrap);
    plans.iter().for_each(Chaos::calm);
    stop.cancel();
    futures::future::join_all(workers).await.into_iter().for_each(Result::unwrap);
    for delivery in ground.memory.claim_deliveries(1000, LEASE).await.unwrap().deliveries {
        *told.get_mut(&delivery.run_id).unwrap() += 1;
    }
    assert!(told.values().all(|ends| *ends == 1), "each run must end once: {told:?}");
    of_threads.values().for_each(|of_thread| check_order(&ground.starts.lock(), of_thread));
    let faults: u64 = plans.iter().map(|chaos| chaos.counts().faults()).sum();
    assert!(faults > 50, "only {faults} faults");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_end_once_and_their_streams_are_whole_whatever_fails() {
    futures::future::join_all((1..=4).map(story)).await;
}
