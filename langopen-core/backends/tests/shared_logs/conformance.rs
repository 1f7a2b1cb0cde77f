//! The conformance suite's cases of event logs.

use std::sync::Arc;

use langopen_backends::postgres::{Postgres, PostgresEventLog, PostgresLogOptions, PostgresOptions, PostgresSignals};
use langopen_backends::redis::RedisLive;
use langopen_core::EventLog;
use langopen_core::clock::ManualClock;
use langopen_test_services::{PgBouncer, postgres_url};
use langopen_testkit::conformance::{CASES, Capabilities, Fixture};

use crate::support::{Database, RETENTION, carried_log, clock, prefix, redis_url};

/// Runs the cases of event logs, each on a database of its own, and reports all failures.
async fn run_all(new: impl AsyncFn(Arc<ManualClock>, &Database) -> Arc<dyn EventLog>) {
    let only = std::env::var("CONFORMANCE").unwrap_or_default();
    let mut failed = Vec::new();
    let of_logs = |name: &str| name.starts_with("event_log::") || name.starts_with("thread_log::");
    for case in CASES.iter().filter(|case| of_logs(case.name) && case.name.contains(&only)) {
        let clock = clock();
        let database = Database::new().await;
        let event_log = new(clock.clone(), &database).await;
        let backend = Fixture::new(clock).with_event_log(event_log);
        let backend = backend.with_capabilities(&Capabilities::default().with_retention(RETENTION));
        let ran = std::panic::AssertUnwindSafe((case.run)(backend));
        if futures::FutureExt::catch_unwind(ran).await.is_err() {
            eprintln!("FAILED {}", case.name);
            failed.push(case.name);
        }
        database.drop().await;
    }
    assert!(failed.is_empty(), "broken promises: {failed:#?}");
}

fn log_options() -> PostgresLogOptions {
    PostgresLogOptions::default().with_retention(RETENTION)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_keeps_its_promises() {
    run_all(async |clock, database: &Database| {
        let signals = Arc::new(PostgresSignals::new(&database.url()).expect("the signals"));
        let db = database.open(PostgresOptions::default().with_clock(clock).with_signals(signals)).await;
        Arc::new(PostgresEventLog::open_with(&db, log_options()).await.expect("open the log")) as Arc<dyn EventLog>
    })
    .await;
}

/// The same behind a pooler in transaction mode. Signals bypass it, because a process cannot listen through it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_behind_a_pooler_keeps_its_promises() {
    let Some(pgbouncer) = PgBouncer::before(&postgres_url().await).await else { return };
    run_all(async |clock, database: &Database| {
        let signals = Arc::new(PostgresSignals::new(&database.url()).expect("the signals"));
        let options = PostgresOptions::default().with_clock(clock).with_connections(6).with_signals(signals);
        let db = Postgres::open(&pgbouncer.url(database.name()), options).await.expect("open the database");
        Arc::new(PostgresEventLog::open_with(&db, log_options()).await.expect("open the log")) as Arc<dyn EventLog>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_with_redis_keeps_its_promises() {
    let url = redis_url().await;
    run_all(async |clock, database: &Database| {
        let live = RedisLive::new(&url, &prefix()).expect("a Redis URL");
        carried_log(database, clock, Arc::new(live)).await
    })
    .await;
}

/// The same while Redis is away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_without_its_redis_keeps_its_promises() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("redis://{closed}/0");
    run_all(async |clock, database: &Database| {
        let live = RedisLive::new(&url, "away:").expect("a Redis URL");
        carried_log(database, clock, Arc::new(live)).await
    })
    .await;
}
