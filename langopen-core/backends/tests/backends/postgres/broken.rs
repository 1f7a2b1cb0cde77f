//! Broken connections: no operation is half done, and the pool recovers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use langopen_backends::postgres::{Postgres, PostgresOptions};
use langopen_core::clock::ManualClock;
use langopen_core::queue::{ClaimRequest, Outcome};
use langopen_core::storage::*;
use langopen_core::*;
use parking_lot::Mutex;
use uuid::Uuid;

use super::super::{LEASE, clock, new_run};
use super::Database;
use super::many::success;

const CONNECTIONS: u32 = 4;

async fn open(database: &Database, clock: &Arc<ManualClock>) -> Postgres {
    database.open(PostgresOptions::default().with_clock(clock.clone()).with_connections(CONNECTIONS)).await
}

/// Breaks every other connection to the database, as a server restart does.
async fn break_all(database: &Database) {
    let mut db = database.connect().await;
    let terminate = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    sqlx::query(terminate).execute(&mut db).await.expect("break the connections");
}

/// After the connections break, each causes at most one failed call, and the error tells the caller to retry.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_connections_are_replaced() {
    let (database, clock) = (Database::new().await, clock());
    let db = open(&database, &clock).await;
    for _ in 0..3 {
        futures::future::join_all((0..20).map(|_| db.list_deployments())).await;
        break_all(&database).await;
        let mut failures = 0;
        while let Err(error) = db.list_deployments().await {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            failures += 1;
            assert!(failures <= CONNECTIONS, "{error}");
        }
        // A call that begins with a transaction does not fail at all.
        break_all(&database).await;
        let id = ThreadId(Uuid::now_v7());
        let missing = db.delete_thread(&Scope::default(), id).await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound, "{missing}");
    }
    db.close().await;
    database.remove().await;
}

/// Creates a run, with as many retries as it takes. A failed attempt may have created the run.
async fn create(db: &Postgres, new: model::NewRun) -> RunId {
    loop {
        match db.enqueue(&Scope::default(), new.clone()).await {
            Ok(enqueued) => return enqueued.run.run_id,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return new.run_id,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
        }
    }
}

/// Claims and ends runs until all have ended.
async fn work(db: Postgres, ended: Arc<Mutex<HashMap<RunId, u32>>>, total: usize, clock: Arc<ManualClock>) {
    let outcome: Outcome = success();
    while ended.lock().len() < total {
        let claims = match db.claim(&ClaimRequest::new("worker", 3, LEASE)).await {
            Ok(claims) => claims.runs,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                continue;
            }
        };
        if claims.is_empty() {
            // A claim whose answer was lost ends with its lease.
            clock.advance(LEASE / 10);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for claim in claims {
            loop {
                match db.finish(claim.lease(), outcome.clone()).await {
                    Ok(_) => {
                        *ended.lock().entry(claim.run.run_id).or_default() += 1;
                        break;
                    }
                    // Either a finish whose answer was lost has ended the run, or another worker owns it now.
                    Err(error) if error.kind() == ErrorKind::LeaseLost => {
                        let run = db.run(&Scope::default(), claim.run.thread_id, claim.run.run_id).await;
                        match run {
                            Ok(Some(run)) if run.status.is_terminal() && run.attempt == claim.run.attempt => {
                                ended.lock().entry(run.run_id).or_insert(1);
                                break;
                            }
                            Ok(_) => break,
                            Err(_) => {}
                        }
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
                }
            }
        }
    }
}

/// Even if connections break often under load, no accepted run is lost, and none ends twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_run_is_lost_with_a_connection() {
    const THREADS: usize = 5;
    const EACH: usize = 12;
    let (database, clock) = (Database::new().await, clock());
    let [a, b] = [open(&database, &clock).await, open(&database, &clock).await];
    let ended = Arc::<Mutex<HashMap<_, _>>>::default();
    let working: Vec<_> = [&a, &b]
        .map(|db| tokio::spawn(work(db.clone(), ended.clone(), THREADS * EACH, clock.clone())))
        .into_iter()
        .collect();
    let creating = (0..THREADS).map(|_| {
        let (db, clock, id) = (a.clone(), clock.clone(), ThreadId(Uuid::now_v7()));
        tokio::spawn(async move {
            for _ in 0..EACH {
                create(&db, new_run(&clock, id)).await;
            }
        })
    });
    let creating: Vec<_> = creating.collect();
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        break_all(&database).await;
    }
    futures::future::try_join_all(creating).await.expect("create");
    futures::future::try_join_all(working).await.expect("work");
    let ended = ended.lock().clone();
    assert_eq!(ended.len(), THREADS * EACH, "every run has ended");
    assert!(ended.values().all(|times| *times == 1), "once");
    for db in [a, b] {
        db.close().await;
    }
    database.assert_in_order().await;
    database.remove().await;
}
