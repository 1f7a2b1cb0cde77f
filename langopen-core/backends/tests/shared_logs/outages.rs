//! Redis or Postgres fails in the middle of everything, and every reader has every event once, in the order of the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt;
use langopen_backends::redis::RedisLive;
use langopen_core::SystemClock;
use langopen_core::event_log::{Event, EventId, LogKey, ReadFrom};
use langopen_test_services::OwnPostgres;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

use crate::liar::Liar;
use crate::server::Server;
use crate::support::{Database, Log, carried_log, event, new_log, number, redis_log, rest, rising};

const WRITERS: usize = 6;

/// Appends numbers through each of the logs in turn until it is over; returns how many, and the longest append.
async fn say(logs: Vec<Log>, key: LogKey, resumable: bool, over: Arc<AtomicBool>) -> (usize, Duration) {
    let (mut said, mut longest) = (0, Duration::ZERO);
    for log in logs.iter().cycle() {
        if over.load(Ordering::Relaxed) {
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

/// Reads a run to its end, and leaves and rejoins by the last event's id at random.
async fn rejoin(logs: [Log; 2], key: LogKey, seed: u64) -> Vec<Event> {
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

/// Both have each event once, with the same id.
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

/// Runs append through `writers` while `outage` happens. Readers of the run and of the thread stay on `reader`; others
/// leave and rejoin.
async fn goes_on(writers: Vec<Log>, reader: Log, resumable: fn(usize) -> bool, outage: impl AsyncFnOnce()) {
    let over = Arc::new(AtomicBool::new(false));
    let runs: Vec<(LogKey, bool)> = (0..WRITERS).map(|n| (new_log(), resumable(n))).collect();
    let mut staying = Vec::new();
    for (key, _) in &runs {
        let run = rest(reader.begin(*key).await.expect("begin"));
        let thread = reader.read_thread(key.thread_id, ReadFrom::Now).await.expect("read");
        let thread = thread.map(|event| event.expect("no failure"));
        let thread = thread.take_while(|event| std::future::ready(&*event.name != "metadata")).collect::<Vec<_>>();
        staying.push((tokio::spawn(run), tokio::spawn(thread)));
    }
    let saying: Vec<_> = runs
        .iter()
        .map(|(key, resumable)| tokio::spawn(say(writers.clone(), *key, *resumable, over.clone())))
        .collect();
    let kept = runs.iter().enumerate().filter(|(_, (_, resumable))| *resumable);
    let rejoining: Vec<_> = kept
        .flat_map(|(n, (key, _))| (0..3).map(move |seed| (n, *key, seed)))
        .map(|(n, key, seed)| (n, tokio::spawn(rejoin([writers[0].clone(), reader.clone()], key, seed))))
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    outage().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    over.store(true, Ordering::Relaxed);

    let mut heard = Vec::new();
    for (writer, (run, thread)) in saying.into_iter().zip(staying) {
        let (said, longest) = writer.await.expect("a writer");
        println!("{said} events; the longest append took {longest:?}");
        let (run, thread) = (run.await.expect("a reader"), thread.await.expect("a reader"));
        rising(&run);
        assert_eq!(run.iter().map(number).collect::<Vec<_>>(), (0..said).collect::<Vec<_>>());
        same(&run, &thread);
        heard.push(run);
    }
    for (n, reader) in rejoining {
        same(&reader.await.expect("a reader"), &heard[n]);
    }
}

fn every_other(n: usize) -> bool {
    n.is_multiple_of(2)
}

/// `outage` befalls Redis, while so many processes append in turn.
async fn redis_fails(processes: usize, outage: impl AsyncFn(&mut Server)) {
    let mut server = Server::start().await;
    let database = Database::new().await;
    let mut logs = Vec::new();
    for _ in 0..=processes {
        logs.push(redis_log(&database, &server.url(), "outage:").await);
    }
    let reader = logs.remove(0);
    goes_on(logs, reader, every_other, async || outage(&mut server).await).await;
    database.drop().await;
}

async fn kill_and_start(server: &mut Server) {
    for _ in 0..3 {
        server.kill();
        tokio::time::sleep(Duration::from_millis(700)).await;
        server.start_again().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_killed() {
    redis_fails(1, kill_and_start).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_killed_while_processes_take_turns() {
    redis_fails(2, kill_and_start).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_stands_still() {
    redis_fails(1, async |server: &mut Server| {
        for _ in 0..2 {
            server.signal("-STOP");
            tokio::time::sleep(Duration::from_millis(1500)).await;
            server.signal("-CONT");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_to_redis_are_cut() {
    redis_fails(1, async |server: &mut Server| {
        for _ in 0..20 {
            for kind in ["normal", "pubsub"] {
                server.insist(&["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"]).await;
            }
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    })
    .await;
}

/// Redis loses, repeats and reorders copies all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_lies() {
    let server = Server::start().await;
    let database = Database::new().await;
    let open = async |seed| {
        let live = Arc::new(RedisLive::new(&server.url(), "lies:").expect("a Redis URL"));
        carried_log(&database, Arc::new(SystemClock), Arc::new(Liar::new(live, seed))).await
    };
    let (reader, writers) = (open(1).await, vec![open(2).await, open(3).await]);
    goes_on(writers, reader, every_other, async || tokio::time::sleep(Duration::from_secs(3)).await).await;
    database.drop().await;
}

/// Postgres restarts: records of the moment survive too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_restarted() {
    let postgres = OwnPostgres::start().await;
    let (server, database) = (Server::start().await, Database::on(&postgres.url()).await);
    let open = async || redis_log(&database, &server.url(), "restart:").await;
    let (reader, writers) = (open().await, vec![open().await]);
    goes_on(writers, reader, every_other, async || postgres.restart().await.expect("restart")).await;
}

/// Postgres crashes: every record of a resumable run survives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_crashes() {
    let postgres = OwnPostgres::start().await;
    let (server, database) = (Server::start().await, Database::on(&postgres.url()).await);
    let open = async || redis_log(&database, &server.url(), "crash:").await;
    let (reader, writers) = (open().await, vec![open().await, open().await]);
    goes_on(writers, reader, |_| true, async || postgres.crash().await.expect("crash")).await;
}
