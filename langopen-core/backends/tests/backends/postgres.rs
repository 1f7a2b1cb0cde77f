//! The conformance suite over Postgres, and tests that need several processes on one database.

mod broken;
mod cancelled;
mod database;
mod many;
mod pooler;
mod schema;

use std::sync::Arc;

use langopen_backends::memory::MemoryEventLog;
use langopen_backends::postgres::{Postgres, PostgresOptions};
use langopen_testkit::conformance::{Case, Fixture};

use self::database::Database;
use super::{RETENTION, capable, clock, run_all};

fn backend(db: &Postgres, clock: Arc<langopen_core::clock::ManualClock>) -> Fixture {
    let event_log = Arc::new(MemoryEventLog::new().with_clock(clock.clone()).with_retention(RETENTION));
    let fixture = Fixture::new(clock).with_database(Arc::new(db.clone())).with_event_log(event_log);
    fixture.with_capabilities(&capable())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_keeps_its_promises() {
    let database = Database::new().await;
    run_all(async |case: &'static Case| {
        database.clear().await;
        let clock = clock();
        let db = database.open(PostgresOptions::default().with_clock(clock.clone())).await;
        (case.run)(backend(&db, clock)).await;
        database.assert_in_order().await;
        db.close().await;
    })
    .await;
    database.remove().await;
}
