//! Random calls on each backend, with chaos in between.

use std::sync::Arc;

use langopen_backends::memory::Memory;
use langopen_backends::sqlite::{Sqlite, SqliteOptions};
use langopen_core::clock::{ManualClock, Timestamp};
use langopen_core::{Scope, Tenant};
use langopen_testkit::chaos::{Chaos, Rates};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::driver::{Driver, Parts};
use crate::steps::steps;

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_micros(1_763_900_000_000_000)))
}

/// A new tenant, so that cases may share a database.
fn scope() -> Scope {
    Scope::tenant(Tenant::new("tests", "chaos", &Uuid::now_v7().simple().to_string()).unwrap())
}

fn rates() -> impl Strategy<Value = Rates> {
    let rate = || prop_oneof![1 => Just(0.0), 2 => 0.0..0.3f64];
    (rate(), rate()).prop_map(|(refused, unanswered)| Rates { refused, unanswered, ..Rates::default() })
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Takes random steps on a backend that `open` makes for each case. `PROPTEST_CASES` sets another number of cases.
fn check<K>(runtime: &Runtime, cases: u32, open: impl AsyncFn() -> (Parts, K)) {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(cases);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 4000, ..Config::default() };
    let story = (any::<u64>(), rates(), steps());
    let tried = TestRunner::new(config).run(&story, |(seed, rates, steps)| {
        runtime.block_on(async {
            let (parts, kept) = open().await;
            let mut driver = Driver::new(parts, Chaos::new(seed, rates));
            for step in &steps {
                driver.take(step).await;
            }
            driver.drain().await;
            drop(kept);
        });
        Ok(())
    });
    if let Err(error) = tried {
        panic!("{error}");
    }
}

#[test]
fn runs_in_memory_end_once_whatever_fails() {
    check(&runtime(), 1000, async || {
        let clock = clock();
        let memory = Arc::new(Memory::with_clock(clock.clone()));
        (Parts { queue: memory.clone(), storage: memory, clock, scope: scope() }, ())
    });
}

#[test]
fn runs_in_sqlite_end_once_whatever_fails() {
    check(&runtime(), 60, async || {
        let (clock, folder) = (clock(), tempfile::tempdir().unwrap());
        let options = SqliteOptions::default().with_clock(clock.clone());
        let db = Arc::new(Sqlite::open(&folder.path().join("langopen.db"), options).await.unwrap());
        (Parts { queue: db.clone(), storage: db, clock, scope: scope() }, folder)
    });
}

#[cfg(feature = "postgres")]
#[test]
fn runs_in_postgres_end_once_whatever_fails() {
    use crate::database::Database;
    use langopen_backends::postgres::PostgresOptions;

    let (runtime, clock) = (runtime(), clock());
    let (database, db) = runtime.block_on(async {
        let database = Database::new().await;
        database.clear().await;
        let db = Arc::new(database.open(PostgresOptions::default().with_clock(clock.clone())).await);
        (database, db)
    });
    check(&runtime, 30, async || {
        (Parts { queue: db.clone(), storage: db.clone(), clock: clock.clone(), scope: scope() }, ())
    });
    runtime.block_on(async {
        database.assert_in_order().await;
        db.close().await;
        database.remove().await;
    });
}
