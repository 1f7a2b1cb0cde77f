//! Redis goes away in the middle of everything, and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use langopen_backends::failover::FailoverEventLog;
use langopen_backends::postgres::{PostgresOptions, PostgresSignals};
use langopen_core::event_log::{Event, EventId, EventLog, LogKey, ReadFrom};
use langopen_core::{Clock, RunId, SystemClock};
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;
use uuid::Uuid;

use crate::server::Server;
use crate::support::{Database, clock, event, new_log, number, options, rest, rising};

const WRITERS: usize = 6;

async fn open(server: &Server, database: &Database) -> Arc<FailoverEventLog> {
    open_by(server, database, Arc::new(SystemClock)).await
}

async fn open_by(server: &Server, database: &Database, clock: Arc<dyn Clock>) -> Arc<FailoverEventLog> {
    let signals = Arc::new(PostgresSignals::new(&database.url()).expect("signals"));
    let db = database.open(PostgresOptions::default().with_connections(6)).await;
    let options = options("outage:", clock);
    Arc::new(FailoverEventLog::open(&server.url(), options, &db, Some(signals)).await.expect("open"))
}

async fn until(log: &FailoverEventLog, on_redis: bool) {
    while log.is_on_redis() != on_redis {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Says numbers by each of the logs in turn until it is told to end, and a while longer; tells how many those were, and how long the longest append took.
async fn say(
    logs: Vec<Arc<FailoverEventLog>>,
    key: LogKey,
    resumable: bool,
    over: Arc<AtomicUsize>,
) -> (usize, Duration) {
    let (mut said, mut longest) = (0, Duration::ZERO);
    for log in logs.iter().cycle() {
        if over.load(Ordering::Relaxed) > 0 {
            break;
        }
        let began = Instant::now();
        log.append(key, 1, resumable, vec![event(said), event(said + 1)]).await.expect("append");
        longest = longest.max(began.elapsed());
        said += 2;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    logs[0].end(key).await.expect("end");
    (said, longest)
}

/// Reads a run to its end, going away and coming back at random.
async fn rejoin(logs: [Arc<FailoverEventLog>; 2], key: LogKey, seed: u64) -> Vec<Event> {
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let mut seen: Vec<Event> = Vec::new();
    loop {
        let from = seen.last().map_or(ReadFrom::After(EventId::ZERO), |event| ReadFrom::After(event.id));
        let Ok(mut stream) = logs[random.random_range(0..2)].read(key, from).await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        for _ in 0..random.random_range(1..200) {
            match stream.next().await {
                Some(Ok(event)) => seen.push(event),
                Some(Err(_)) => break,
                None => return seen,
            }
        }
    }
}

/// Each event once, in the same place.
#[track_caller]
fn same(seen: &[Event], heard: &[Event]) {
    let differ = seen.iter().zip(heard).position(|(seen, heard)| seen != heard);
    let Some(at) = differ.or_else(|| (seen.len() != heard.len()).then(|| seen.len().min(heard.len()))) else { return };
    let shown = |events: &[Event]| {
        let around = events.iter().skip(at.saturating_sub(3)).take(8);
        around.map(|event| format!("{}={}", event.id, number(event))).collect::<Vec<_>>().join(" ")
    };
    panic!("{} and {} events, which differ at {at}: {} but {}", seen.len(), heard.len(), shown(seen), shown(heard));
}

fn numbers(events: &[Event]) -> Vec<usize> {
    events.iter().map(number).collect()
}

/// What those hear who come and go.
enum Rejoined {
    /// Nothing twice, but perhaps not all.
    Part,
    /// Everything once, where those heard it who stayed.
    InPlace,
}

/// Runs go on while `outage` happens, and readers who were there hear everything once. So many processes say in turn what a run says.
async fn goes_on(durable: bool, outages: usize, rejoined: Rejoined, sayers: usize, outage: impl AsyncFn(&mut Server)) {
    let mut server = Server::start(durable).await;
    let database = Database::new().await;
    let (worker, other) = (open(&server, &database).await, open(&server, &database).await);
    let mut saying_logs = vec![worker.clone()];
    for _ in 1..sayers {
        saying_logs.push(open(&server, &database).await);
    }
    let over = Arc::new(AtomicUsize::new(0));
    let runs: Vec<(LogKey, bool)> = (0..WRITERS).map(|n| (new_log(), n % 2 == 0)).collect();
    let mut staying = Vec::new();
    for (key, _) in &runs {
        let run = rest(other.begin(*key).await.expect("begin"));
        let thread = other.read_thread(key.thread_id, ReadFrom::Now).await.expect("read");
        let thread = thread.map(|event| event.expect("no failure"));
        let thread = thread.take_while(|event| std::future::ready(&*event.name != "metadata")).collect::<Vec<_>>();
        staying.push((tokio::spawn(run), tokio::spawn(thread)));
    }
    let saying: Vec<_> = runs
        .iter()
        .map(|(key, resumable)| tokio::spawn(say(saying_logs.clone(), *key, *resumable, over.clone())))
        .collect();
    let rejoining: Vec<_> = runs
        .iter()
        .filter(|(_, resumable)| *resumable)
        .flat_map(|(key, _)| (0..3).map(move |seed| (*key, seed)))
        .map(|(key, seed)| (key, tokio::spawn(rejoin([worker.clone(), other.clone()], key, seed))))
        .collect();
    for _ in 0..outages {
        tokio::time::sleep(Duration::from_millis(500)).await;
        outage(&mut server).await;
        until(&worker, true).await;
        until(&other, true).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    over.store(1, Ordering::Relaxed);

    let mut said = Vec::new();
    for writer in saying {
        let (count, longest) = writer.await.expect("a writer");
        println!("{count} events were said; the longest append took {longest:?}");
        said.push(count);
    }
    let mut heard = Vec::new();
    for ((run, thread), said) in staying.into_iter().zip(&said) {
        let (run, thread) = (run.await.expect("a reader"), thread.await.expect("a reader"));
        rising(&run);
        // A reader of a run who was there hears everything once, and so does a reader of the thread.
        same(&run, &thread);
        let counted: Vec<_> =
            run.iter().zip(0..).map(|(told, n)| Event { data: event(n).data, ..told.clone() }).collect();
        same(&run, &counted);
        assert_eq!(run.len(), *said);
        heard.push(run);
    }
    for (key, reader) in rejoining {
        let seen = reader.await.expect("a reader");
        rising(&seen);
        let place = runs.iter().position(|(run, _)| *run == key).expect("its run");
        match rejoined {
            Rejoined::InPlace => same(&seen, &heard[place]),
            Rejoined::Part => {
                assert!(seen.iter().all(|event| heard[place].contains(event)), "nothing twice, nothing else")
            }
        }
    }
    drop((worker, other, saying_logs));
    database.drop().await;
}

async fn kill_and_start(server: &mut Server) {
    server.kill();
    tokio::time::sleep(Duration::from_millis(700)).await;
    server.start_again().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_durable_server_is_killed() {
    goes_on(true, 3, Rejoined::InPlace, 1, kill_and_start).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_forgets_is_killed() {
    goes_on(false, 3, Rejoined::Part, 1, kill_and_start).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_killed_while_processes_take_turns() {
    goes_on(true, 3, Rejoined::InPlace, 2, kill_and_start).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_stands_still() {
    goes_on(true, 2, Rejoined::InPlace, 1, async |server: &mut Server| {
        server.signal("-STOP");
        tokio::time::sleep(Duration::from_millis(1500)).await;
        server.signal("-CONT");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_cut() {
    goes_on(true, 20, Rejoined::InPlace, 1, async |server: &mut Server| {
        for kind in ["normal", "pubsub"] {
            server.insist(&["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"]).await;
        }
    })
    .await;
}

/// A run that begins while Redis is away is read from its beginning at once, and after Redis is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_begins_without_redis() {
    let mut server = Server::start(true).await;
    server.kill();
    let database = Database::new().await;
    let (worker, other) = (open(&server, &database).await, open(&server, &database).await);
    let before = new_log();
    worker.append(before, 1, true, vec![event(0)]).await.expect("append, though Redis was never there");
    until(&other, false).await;
    // Its id says that it is younger than the move, once the ids have passed the gap that the move left.
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let run = LogKey { run_id: RunId(Uuid::now_v7()), ..before };
    worker.append(run, 1, true, (0..100).map(event).collect()).await.expect("append");
    let beginning = ReadFrom::After(EventId::ZERO);
    let early = other.read(run, beginning).await.expect("read").take(100);
    let early: Vec<_> = early.map(|event| event.expect("no failure")).collect().await;
    assert_eq!(numbers(&early), (0..100).collect::<Vec<_>>());
    server.start_again().await;
    until(&worker, true).await;
    until(&other, true).await;
    worker.append(run, 1, true, vec![event(100)]).await.expect("append");
    worker.end(run).await.expect("end");
    let late = rest(other.read(run, beginning).await.expect("read")).await;
    assert_eq!(numbers(&late), (0..=100).collect::<Vec<_>>(), "from both");
    rising(&late);
    let of_thread = other.read_thread(run.thread_id, beginning).await.expect("read").take(103);
    let of_thread: Vec<_> = of_thread.map(|event| event.expect("no failure")).collect().await;
    rising(&of_thread);
    database.drop().await;
}

/// Whoever reads what is kept gets all of it, also if the server goes just then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_is_read_whole() {
    const EVENTS: usize = 40;
    let mut server = Server::start(true).await;
    let database = Database::new().await;
    let logs = [open(&server, &database).await, open(&server, &database).await];
    let key = new_log();
    for n in 0..EVENTS {
        logs[0].append(key, 1, true, vec![event(n)]).await.expect("append");
    }
    logs[0].end(key).await.expect("end");
    // Longer ago than what is copied.
    tokio::time::sleep(Duration::from_millis(3500)).await;
    let over = Arc::new(AtomicUsize::new(0));
    let reading = (0..20).map(|n| {
        let (log, over) = (logs[n % 2].clone(), over.clone());
        tokio::spawn(async move {
            while over.load(Ordering::Relaxed) == 0 {
                let Ok(stream) = log.read(key, ReadFrom::After(EventId::ZERO)).await else { continue };
                let read = stream.take(EVENTS).map(|event| event.map(|event| number(&event)));
                let read: Result<Vec<_>, _> = read.collect::<Vec<_>>().await.into_iter().collect();
                // A reader that is told of a failure comes back.
                assert!(read.as_ref().map_or(true, |read| *read == (0..EVENTS).collect::<Vec<_>>()), "{read:?}");
            }
        })
    });
    let reading: Vec<_> = reading.collect();
    // What is appended meanwhile finds that the server is gone.
    let other = new_log();
    for n in 0..3 {
        kill_and_start(&mut server).await;
        logs[1].append(other, 1, true, vec![event(n)]).await.expect("append");
        until(&logs[0], true).await;
        until(&logs[1], true).await;
    }
    over.store(1, Ordering::Relaxed);
    for reader in reading {
        reader.await.expect("a reader");
    }
    database.drop().await;
}

/// What was said just before a server forgets everything is said again where the log moves, by each process what it said, in the same places.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_said_last_is_copied_in_its_place() {
    let mut server = Server::start(false).await;
    let database = Database::new().await;
    let (one, two) = (open(&server, &database).await, open(&server, &database).await);
    let key = new_log();
    for (n, log) in [&one, &two, &one].into_iter().enumerate() {
        log.append(key, 1, true, vec![event(n)]).await.expect("append");
    }
    let beginning = ReadFrom::After(EventId::ZERO);
    let said = two.read(key, beginning).await.expect("read").take(3).map(|event| event.expect("no failure"));
    let said: Vec<_> = said.collect().await;
    server.kill();
    two.append(key, 1, true, vec![event(3)]).await.expect("append");
    until(&one, false).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.start_again().await;
    until(&one, true).await;
    until(&two, true).await;
    let kept = one.read(key, beginning).await.expect("read").take(4).map(|event| event.expect("no failure"));
    let kept: Vec<_> = kept.collect().await;
    assert_eq!(numbers(&kept), [0, 1, 2, 3]);
    assert_eq!(kept[..3], said, "in their places");
    rising(&kept);
    database.drop().await;
}

/// A process that does not know yet that the log has moved appends nothing to a server that is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_missed_a_move_appends_nothing() {
    let server = Server::start(true).await;
    let database = Database::new().await;
    let log = open(&server, &database).await;
    let key = new_log();
    log.append(key, 1, true, vec![event(0)]).await.expect("append");
    assert!(log.is_on_redis());
    // As the one who moved it says it when the server answers again.
    server.insist(&["SET", "outage:generation", "1"]).await;
    log.append(key, 1, true, vec![event(1)]).await.expect("append");
    assert!(!log.is_on_redis(), "it went to where the log is");
    log.end(key).await.expect("end");
    let read = rest(log.read(key, ReadFrom::After(EventId::ZERO)).await.expect("read")).await;
    assert_eq!(numbers(&read), [0, 1]);
    database.drop().await;
}

/// What cannot be appended to Redis does not take a place in the database that another process has given on Redis.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_takes_the_place_of_another() {
    let mut server = Server::start(true).await;
    let database = Database::new().await;
    // It stands still, so that every process would give the same place next.
    let clock = clock();
    let open = async || open_by(&server, &database, clock.clone()).await;
    let (gone, stays, reads) = (open().await, open().await, open().await);
    server.kill();
    gone.append(new_log(), 1, true, vec![event(0)]).await.expect("append");
    for log in [&gone, &stays, &reads] {
        until(log, false).await;
    }
    server.start_again().await;
    for log in [&gone, &stays, &reads] {
        until(log, true).await;
    }
    let key = new_log();
    let mut reader = reads.begin(key).await.expect("begin");
    gone.append(key, 1, true, vec![event(0)]).await.expect("append");
    assert_eq!(number(&reader.next().await.expect("an event").expect("no failure")), 0);
    // Nobody copies what it said.
    drop(gone);
    server.kill();
    stays.append(key, 1, true, vec![event(1)]).await.expect("append");
    let next = tokio::time::timeout(Duration::from_secs(30), reader.next()).await.expect("it is heard");
    assert_eq!(number(&next.expect("an event").expect("no failure")), 1);
    database.drop().await;
}
