//! The conformance suite's cases of event logs.

use std::sync::Arc;
use std::time::Duration;

use langopen_backends::failover::FailoverEventLog;
use langopen_backends::postgres::{Postgres, PostgresEventLog, PostgresOptions, PostgresSignals};
use langopen_core::EventLog;
use langopen_core::clock::ManualClock;
use langopen_test_services::{PgBouncer, postgres_url};
use langopen_testkit::conformance::{CASES, Capabilities, Fixture};

use crate::support::{Database, RETENTION, clock, event, new_log, options, prefix, redis_log, redis_url};

/// Runs the cases of event logs, and tells all that failed rather than the first. A log's database goes after its case.
async fn run_all(new: impl AsyncFn(Arc<ManualClock>) -> (Arc<dyn EventLog>, Option<Database>)) {
    let only = std::env::var("CONFORMANCE").unwrap_or_default();
    let mut failed = Vec::new();
    let of_logs = |name: &str| name.starts_with("event_log::") || name.starts_with("thread_log::");
    for case in CASES.iter().filter(|case| of_logs(case.name) && case.name.contains(&only)) {
        let clock = clock();
        let (event_log, database) = new(clock.clone()).await;
        let backend = Fixture::new(clock).with_event_log(event_log);
        let backend = backend.with_capabilities(&Capabilities::default().with_retention(RETENTION));
        let ran = std::panic::AssertUnwindSafe((case.run)(backend));
        if futures::FutureExt::catch_unwind(ran).await.is_err() {
            eprintln!("FAILED {}", case.name);
            failed.push(case.name);
        }
        if let Some(database) = database {
            database.drop().await;
        }
    }
    assert!(failed.is_empty(), "broken promises: {failed:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_keeps_its_promises() {
    run_all(async |clock| (Arc::new(redis_log(&prefix(), clock).await) as Arc<dyn EventLog>, None)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_keeps_its_promises() {
    run_all(async |clock| {
        let database = Database::new().await;
        let signals = Arc::new(PostgresSignals::new(&database.url()).expect("the signals"));
        let db = database.open(PostgresOptions::default().with_clock(clock).with_signals(signals)).await;
        let log = PostgresEventLog::open_with_retention(&db, RETENTION).await.expect("open the log");
        (Arc::new(log) as Arc<dyn EventLog>, Some(database))
    })
    .await;
}

/// The same behind a pooler in transaction mode. Signals go past it, for whoever listens must.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_behind_a_pooler_keeps_its_promises() {
    let Some(pgbouncer) = PgBouncer::before(&postgres_url().await).await else { return };
    run_all(async |clock| {
        let database = Database::new().await;
        let signals = Arc::new(PostgresSignals::new(&database.url()).expect("the signals"));
        let options = PostgresOptions::default().with_clock(clock).with_connections(6).with_signals(signals);
        let db = Postgres::open(&pgbouncer.url(database.name()), options).await.expect("open the database");
        let log = PostgresEventLog::open_with_retention(&db, RETENTION).await.expect("open the log");
        (Arc::new(log) as Arc<dyn EventLog>, Some(database))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_together_keep_their_promises() {
    let url = redis_url().await;
    run_all(async |clock| failover(&url, clock).await).await;
}

/// The same while Redis is away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_together_keep_their_promises_without_redis() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("redis://{closed}/0");
    run_all(async |clock: Arc<ManualClock>| {
        let (log, database) = failover(&url, clock.clone()).await;
        log.append(new_log(), 1, false, vec![event(0)]).await.expect("append, which moves the log");
        // The move leaves a gap in the ids, which the clock has to pass.
        clock.advance(Duration::from_secs(3));
        (log, database)
    })
    .await;
}

async fn failover(url: &str, clock: Arc<ManualClock>) -> (Arc<dyn EventLog>, Option<Database>) {
    let database = Database::new().await;
    let signals = Arc::new(PostgresSignals::new(&database.url()).expect("the signals"));
    let db = database.open(PostgresOptions::default().with_clock(clock.clone())).await;
    let log = FailoverEventLog::open(url, options(&prefix(), clock), &db, Some(signals)).await.expect("open the log");
    (Arc::new(log) as Arc<dyn EventLog>, Some(database))
}
