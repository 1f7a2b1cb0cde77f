//! Measures the event log that processes share: how many events per second are appended, and how long an event takes to
//! a reader in another process (here: another log on the same servers).
//!
//! `DATABASE_URL=postgres://... REDIS_URL=redis://... cargo run --release -p langopen-backends --features
//! memory,postgres,redis --example event_log_rates`

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use langopen_backends::postgres::{Postgres, PostgresEventLog, PostgresLogOptions, PostgresOptions, PostgresSignals};
use langopen_backends::redis::RedisLive;
use langopen_core::event_log::{EventLog, EventStream, LogKey, NewEvent, ReadFrom};
use langopen_core::{RunId, ThreadId};
use uuid::Uuid;

type Log = Arc<dyn EventLog>;

/// How many runs append at the same time.
const RUNS: usize = 16;

fn new_log() -> LogKey {
    LogKey { thread_id: ThreadId(Uuid::now_v7()), run_id: RunId(Uuid::now_v7()) }
}

/// An event of the size of a message's chunk.
fn event() -> NewEvent {
    NewEvent { name: "messages".into(), data: Bytes::from(vec![b'7'; 200]) }
}

fn percentile(sorted: &[Duration], part: f64) -> Duration {
    sorted[((sorted.len() - 1) as f64 * part) as usize]
}

/// Events per second of many runs, in batches, with or without a reader of each elsewhere.
async fn rate(writer: &Log, other: &Log, resumable: bool, batch: usize, read: bool) -> f64 {
    let batches = if batch == 1 { 500 } else { 100 };
    let mut readers = Vec::new();
    let logs: Vec<_> = (0..RUNS).map(|_| new_log()).collect();
    if read {
        for log in &logs {
            readers.push(tokio::spawn(other.begin(*log).await.expect("begin").count()));
        }
    }
    let began = Instant::now();
    let writing = logs.iter().copied().map(|log| {
        let writer = writer.clone();
        tokio::spawn(async move {
            for _ in 0..batches {
                writer.append(log, 1, resumable, (0..batch).map(|_| event()).collect()).await.expect("append");
            }
            writer.end(log).await.expect("end");
        })
    });
    for task in writing.collect::<Vec<_>>() {
        task.await.expect("a writer");
    }
    for reader in readers {
        assert_eq!(reader.await.expect("a reader"), batches * batch);
    }
    (RUNS * batches * batch) as f64 / began.elapsed().as_secs_f64()
}

/// The times from the call of `append` until the reader elsewhere has the event, one event at a time; sorted.
async fn latencies(writer: &Log, other: &Log, resumable: bool) -> Vec<Duration> {
    let log = new_log();
    let mut stream = other.begin(log).await.expect("begin");
    let mut latencies = Vec::new();
    for _ in 0..500 {
        let began = Instant::now();
        writer.append(log, 1, resumable, vec![event()]).await.expect("append");
        stream.next().await.expect("it goes on").expect("an event");
        latencies.push(began.elapsed());
        tokio::time::sleep(Duration::from_millis(7)).await;
    }
    writer.end(log).await.expect("end");
    latencies.sort();
    latencies
}

/// The memory of this process in bytes.
fn memory() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

async fn measure(name: &str, writer: Log, other: Log) {
    for (resumable, kind) in [(false, "not kept"), (true, "kept")] {
        for read in [false, true] {
            for batch in [1, 64] {
                let rate = rate(&writer, &other, resumable, batch, read).await;
                let read = if read { "read" } else { "unread" };
                println!("{name}: {rate:>9.0} events/s, {kind}, {read}, {batch} in a call");
            }
        }
        let latencies = latencies(&writer, &other, resumable).await;
        let (half, most) = (percentile(&latencies, 0.5), percentile(&latencies, 0.99));
        println!("{name}: to a reader elsewhere, {kind}: p50 {half:?}, p99 {most:?}");
    }
    let (before, began) = (memory(), Instant::now());
    let idle = (0..5000).map(|_| other.read_thread(new_log().thread_id, ReadFrom::Now));
    let idle: Vec<EventStream> =
        futures::stream::iter(idle).buffered(100).map(|stream| stream.expect("read")).collect().await;
    let took = began.elapsed();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let each = memory().saturating_sub(before) / idle.len();
    println!("{name}: {} idle readers began in {took:?}, {each} bytes each", idle.len());
    let latencies = latencies(&writer, &other, false).await;
    let (half, most) = (percentile(&latencies, 0.5), percentile(&latencies, 0.99));
    println!("{name}: with them, to a reader elsewhere: p50 {half:?}, p99 {most:?}");
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let url = std::env::var("DATABASE_URL").expect("DATABASE_URL names a Postgres");
    let open = async |redis: Option<(&str, &str)>| {
        let signals = Arc::new(PostgresSignals::new(&url).expect("a Postgres URL"));
        let db = Postgres::open(&url, PostgresOptions::default().with_signals(signals)).await.expect("Postgres");
        let mut options = PostgresLogOptions::default();
        if let Some((redis, prefix)) = redis {
            options = options.with_live_copies(Arc::new(RedisLive::new(redis, prefix).expect("a Redis URL")));
        }
        Arc::new(PostgresEventLog::open_with(&db, options).await.expect("its log")) as Log
    };
    if let Ok(redis) = std::env::var("REDIS_URL") {
        let prefix = format!("rates:{}:", Uuid::new_v4().simple());
        let redis = Some((&*redis, &*prefix));
        measure("postgres and redis", open(redis).await, open(redis).await).await;
    }
    measure("postgres", open(None).await, open(None).await).await;
}
