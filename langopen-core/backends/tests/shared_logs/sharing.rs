//! Two processes on one database: one appends, the other reads.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use langopen_backends::postgres::{Postgres, PostgresEventLog, PostgresOptions, PostgresSignals};
use langopen_core::RunId;
use langopen_core::event_log::{Event, EventId, LogKey, ReadFrom};
use langopen_test_services::{PgBouncer, postgres_url};
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

use crate::server::Server;
use crate::support::{Database, Log, event, new_log, number, prefix, redis_log, redis_url, rest, rising};

/// Reads a run to its end, and leaves and rejoins by the last event's id at random.
async fn rejoin(logs: [Log; 2], key: LogKey, seed: u64) -> Vec<Event> {
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let mut seen: Vec<Event> = Vec::new();
    loop {
        let from = seen.last().map_or(ReadFrom::After(EventId::ZERO), |event| ReadFrom::After(event.id));
        let mut stream = logs[random.random_range(0..2)].read(key, from).await.expect("read");
        for _ in 0..random.random_range(1..40) {
            match stream.next().await {
                Some(event) => seen.push(event.expect("no failure")),
                None => return seen,
            }
        }
    }
}

/// The events of one process reach readers in another: readers that stay, and readers that leave and rejoin.
async fn readers_elsewhere_miss_and_repeat_nothing(writer: Log, other: Log) {
    const BATCHES: usize = 300;
    let kept = new_log();
    let plain = LogKey { run_id: RunId(Uuid::now_v7()), ..kept };
    let of_plain = other.begin(plain).await.expect("begin");
    let of_kept = other.begin(kept).await.expect("begin");
    let of_thread = other.read_thread(kept.thread_id, ReadFrom::Now).await.expect("read");
    let rejoining: Vec<_> =
        (0..100).map(|seed| tokio::spawn(rejoin([writer.clone(), other.clone()], kept, seed))).collect();
    for n in 0..BATCHES {
        writer.append(kept, 1, true, vec![event(n * 2), event(n * 2 + 1)]).await.expect("append");
        writer.append(plain, 1, false, vec![event(n)]).await.expect("append");
        if n % 100 == 0 {
            other.append_to_thread(kept.thread_id, vec![event(9_000_000 + n)]).await.expect("append");
        }
        tokio::time::sleep(Duration::from_micros(300)).await;
    }
    writer.end(plain).await.expect("end");
    other.end(kept).await.expect("end, also by somebody else");
    writer.remove_threads(&[]).await.expect("nothing");

    let all: Vec<usize> = (0..BATCHES * 2).collect();
    let numbers = |events: &[Event]| events.iter().map(number).collect::<Vec<_>>();
    let of_kept = rest(of_kept).await;
    rising(&of_kept);
    assert_eq!(numbers(&of_kept), all);
    assert_eq!(numbers(&rest(of_plain).await), (0..BATCHES).collect::<Vec<_>>());
    for reader in rejoining {
        assert_eq!(reader.await.expect("a reader"), of_kept, "each event once, in the same place for all");
    }
    let expected = BATCHES * 3 + 3 + 2;
    let of_thread: Vec<_> = of_thread.take(expected).map(|event| event.expect("no failure")).collect().await;
    rising(&of_thread);
    let mut again = other.read_thread(kept.thread_id, ReadFrom::After(EventId::ZERO)).await.expect("read");
    writer.remove_threads(&[kept.thread_id]).await.expect("remove");
    let mut replayed = Vec::new();
    while let Some(event) = again.next().await {
        replayed.push(event.expect("no failure"));
    }
    assert!(replayed.len() <= BATCHES * 2 + 3 + 1, "a removal ends readers elsewhere");
    assert!(replayed.iter().all(|event| of_thread.contains(event)), "an event has the same place for all");
}

async fn postgres_log(database: &Database, told: bool) -> Log {
    postgres_log_at(&database.url(), told.then(|| database.url())).await
}

async fn postgres_log_at(url: &str, signals: Option<String>) -> Log {
    let mut options = PostgresOptions::default().with_connections(6);
    if let Some(url) = signals {
        options = options.with_signals(Arc::new(PostgresSignals::new(&url).expect("signals")));
    }
    let db = Postgres::open(url, options).await.expect("open the database");
    Arc::new(PostgresEventLog::open(&db).await.expect("open"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_arrive_through_redis() {
    let (database, url, prefix) = (Database::new().await, redis_url().await, prefix());
    let log = async || redis_log(&database, &url, &prefix).await;
    readers_elsewhere_miss_and_repeat_nothing(log().await, log().await).await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_shared() {
    let database = Database::new().await;
    readers_elsewhere_miss_and_repeat_nothing(postgres_log(&database, true).await, postgres_log(&database, true).await)
        .await;
    database.drop().await;
}

/// Behind a pooler in transaction mode, with signals that bypass it and with signals that do not. Those are lost, so
/// the process finds records when it looks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_shared_behind_a_pooler() {
    let Some(pgbouncer) = PgBouncer::before(&postgres_url().await).await else { return };
    for past in [true, false] {
        let database = Database::new().await;
        database.open(PostgresOptions::default()).await.close().await;
        let url = pgbouncer.url(database.name());
        let log = async || postgres_log_at(&url, Some(if past { database.url() } else { url.clone() })).await;
        readers_elsewhere_miss_and_repeat_nothing(log().await, log().await).await;
        database.drop().await;
    }
}

/// Without any signal, the process finds records when it looks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_looked_at_when_nothing_is_told() {
    let database = Database::new().await;
    readers_elsewhere_miss_and_repeat_nothing(
        postgres_log(&database, false).await,
        postgres_log(&database, false).await,
    )
    .await;
    database.drop().await;
}

/// A Redis that cuts its subscribers loses copies; the readers' process finds the records when it looks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_found_when_copies_are_lost() {
    let (server, database) = (Arc::new(Server::start().await), Database::new().await);
    let log = async || redis_log(&database, &server.url(), "cut:").await;
    let logs = (log().await, log().await);
    let cutting = tokio::spawn({
        let server = Arc::clone(&server);
        async move {
            loop {
                server.insist(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        }
    });
    readers_elsewhere_miss_and_repeat_nothing(logs.0, logs.1).await;
    cutting.abort();
    database.drop().await;
}

/// A record is written once, also if its append is tried again after the answer was lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_whose_answer_is_lost_is_not_repeated() {
    let database = Database::new().await;
    let log = postgres_log(&database, true).await;
    let pool = sqlx::PgPool::connect(&database.url()).await.expect("connect");
    let cutting = tokio::spawn({
        let pool = pool.clone();
        async move {
            let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%event_log_append%'";
            loop {
                sqlx::query_scalar::<_, i64>(cut).fetch_one(&pool).await.expect("cut");
                tokio::time::sleep(Duration::from_millis(15)).await;
            }
        }
    });
    let key = new_log();
    for n in 0..200 {
        log.append(key, 1, true, vec![event(n)]).await.expect("append");
    }
    cutting.abort();
    log.end(key).await.expect("end");
    let read = rest(log.read(key, ReadFrom::After(EventId::ZERO)).await.expect("read")).await;
    assert_eq!(read.iter().map(number).collect::<Vec<_>>(), (0..200).collect::<Vec<_>>());
    pool.close().await;
    database.drop().await;
}

/// Events that are neither kept nor read are not written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_reads_takes_no_space() {
    let database = Database::new().await;
    let (writer, reader) = (postgres_log(&database, true).await, postgres_log(&database, true).await);
    let (unread, read) = (new_log(), new_log());
    let stream = reader.begin(read).await.expect("begin");
    for log in [unread, read] {
        writer.append(log, 1, false, vec![event(0)]).await.expect("append");
        writer.end(log).await.expect("end");
    }
    assert_eq!(rest(stream).await.len(), 1);
    let pool = sqlx::PgPool::connect(&database.url()).await.expect("connect");
    let rows = sqlx::query_scalar::<_, Uuid>("SELECT DISTINCT thread_id FROM live_records").fetch_all(&pool).await;
    assert_eq!(rows.expect("rows"), [read.thread_id.0]);
    pool.close().await;
    database.drop().await;
}
