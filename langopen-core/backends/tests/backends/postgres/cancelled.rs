//! Callers that go away in the middle: a server drops what it does for a client that hangs up.

use std::time::Duration;

use langopen_backends::postgres::PostgresOptions;
use langopen_core::queue::InFlight;
use langopen_core::storage::*;
use langopen_core::*;
use uuid::Uuid;

use super::super::{clock, new_run};
use super::Database;
use super::many::interrupt;

/// How often a caller goes away, each time a little later.
const TIMES: u64 = 200;
const LATER: Duration = Duration::from_micros(10);

/// What was answered as done is there, whatever became of others that used the same connection.
#[tokio::test]
async fn who_goes_away_takes_nothing_of_others_along() {
    let (database, clock, scope) = (Database::new().await, clock(), Scope::default());
    // One connection, so that everybody uses the same.
    let options = |connections| PostgresOptions::default().with_clock(clock.clone()).with_connections(connections);
    let (db, looks) = (database.open(options(1)).await, database.open(options(1)).await);
    for number in 0..TIMES {
        let thread_id = ThreadId(Uuid::now_v7());
        let gone = db.cancel_in_flight(&scope, InFlight::All, interrupt());
        // Whether it was in time does not matter.
        let _ = tokio::time::timeout(LATER * u32::try_from(number).unwrap(), gone).await;
        let run = new_run(&clock, thread_id);
        db.enqueue(&scope, run.clone()).await.unwrap();
        let kept = looks.run(&scope, thread_id, run.run_id).await.unwrap();
        assert!(kept.is_some(), "run {number} was accepted, and is not there");
    }
    db.close().await;
    looks.close().await;
    database.assert_in_order().await;
    database.remove().await;
}
