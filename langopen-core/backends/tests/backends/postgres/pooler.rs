//! Behind PgBouncer in transaction mode, which may use another server connection for each transaction.

use langopen_backends::postgres::{Postgres, PostgresOptions};
use langopen_core::storage::*;
use langopen_test_services::PgBouncer;
use langopen_testkit::conformance::Case;

use super::super::{clock, run_all};
use super::{Database, backend};

/// The conformance suite behind a pooler, including the migrations.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_behind_a_pooler_keeps_its_promises() {
    let database = Database::empty().await;
    let Some(pgbouncer) = PgBouncer::before(database.url()).await else { return database.remove().await };
    let url = pgbouncer.url(database.name());
    run_all(async |case: &'static Case| {
        let clock = clock();
        let options = PostgresOptions::default().with_clock(clock.clone()).with_connections(6);
        let db = Postgres::open(&url, options).await.expect("open");
        database.clear().await;
        (case.run)(backend(&db, clock)).await;
        db.close().await;
    })
    .await;
    drop(pgbouncer);
    database.assert_in_order().await;
    database.remove().await;
}

/// Opening fails if the URL does not name the pooler, and the error says how to name it.
#[tokio::test]
async fn a_pooler_is_named_in_the_url() {
    let database = Database::new().await;
    let Some(pgbouncer) = PgBouncer::before(database.url()).await else { return database.remove().await };
    let url = pgbouncer.url(database.name());
    let error = Postgres::open(&url.replace("pooler=true&", ""), PostgresOptions::default()).await.unwrap_err();
    assert!(error.message().contains("?pooler=true"), "{error}");
    let db = Postgres::open(&url, PostgresOptions::default()).await.expect("open");
    let reads = (0..20).map(|_| db.list_deployments());
    assert!(futures::future::try_join_all(reads).await.expect("read").iter().all(Vec::is_empty));
    db.close().await;
    drop(pgbouncer);
    database.remove().await;
}
