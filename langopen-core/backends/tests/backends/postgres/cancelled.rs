//! Cancelled callers: the API server drops the work for a client that disconnects.

use std::time::Duration;

use langopen_backends::postgres::PostgresOptions;
use langopen_core::queue::InFlight;
use langopen_core::storage::*;
use langopen_core::*;
use uuid::Uuid;

use super::super::{clock, new_run};
use super::Database;
use super::many::interrupt;

/// The number of cancelled calls. Each is cancelled a little later than the one before.
const TIMES: u64 = 200;
const STEP: Duration = Duration::from_micros(10);

/// An acknowledged write exists, even if an earlier call on the same connection was cancelled.
#[tokio::test]
async fn a_cancelled_call_affects_no_other_call() {
    let (database, clock, scope) = (Database::new().await, clock(), Scope::default());
    // One connection, so that all calls share it.
    let options = |connections| PostgresOptions::default().with_clock(clock.clone()).with_connections(connections);
    let (db, looks) = (database.open(options(1)).await, database.open(options(1)).await);
    for number in 0..TIMES {
        let thread_id = ThreadId(Uuid::now_v7());
        let gone = db.cancel_in_flight(&scope, InFlight::All, interrupt());
        // The call may have finished before it was cancelled; both are fine.
        let _ = tokio::time::timeout(STEP * u32::try_from(number).unwrap(), gone).await;
        let run = new_run(&clock, thread_id);
        db.enqueue(&scope, run.clone()).await.unwrap();
        let kept = looks.run(&scope, thread_id, run.run_id).await.unwrap();
        assert!(kept.is_some(), "run {number} was accepted but does not exist");
    }
    db.close().await;
    looks.close().await;
    database.assert_in_order().await;
    database.remove().await;
}
