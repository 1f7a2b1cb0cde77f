//! Shared by the tests: databases, logs, and numbered events.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use langopen_backends::live_copies::LiveCopies;
use langopen_backends::postgres::{Postgres, PostgresEventLog, PostgresLogOptions, PostgresOptions, PostgresSignals};
use langopen_backends::redis::RedisLive;
use langopen_core::clock::{ManualClock, SystemClock, Timestamp};
use langopen_core::event_log::{Event, EventStream, LogKey, NewEvent};
use langopen_core::{Clock, EventLog, RunId, ThreadId};
use langopen_test_services::postgres_url;
use sqlx::Connection;
use uuid::Uuid;

pub(crate) const RETENTION: Duration = Duration::from_secs(60);

pub(crate) use langopen_test_services::redis_url;

/// A database of one test.
pub(crate) struct Database {
    server: String,
    name: String,
}

impl Database {
    pub(crate) async fn new() -> Self {
        Self::on(&postgres_url().await).await
    }

    /// On this server.
    pub(crate) async fn on(server: &str) -> Self {
        let database = Self { server: server.to_owned(), name: format!("test_{}", Uuid::new_v4().simple()) };
        database.run(&format!("CREATE DATABASE {}", database.name)).await;
        database
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn url(&self) -> String {
        let mut url = url::Url::parse(&self.server).expect("a URL");
        url.set_path(&self.name);
        url.to_string()
    }

    pub(crate) async fn open(&self, options: PostgresOptions) -> Postgres {
        Postgres::open(&self.url(), options).await.expect("open the database")
    }

    async fn run(&self, sql: &str) {
        let mut connection = sqlx::PgConnection::connect(&self.server).await.expect("connect");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.expect(sql);
        connection.close().await.expect("close");
    }

    pub(crate) async fn drop(self) {
        self.run(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_micros(1_763_900_000_123_456)))
}

/// A prefix that no other test has.
pub(crate) fn prefix() -> String {
    format!("test:{}:", Uuid::new_v4().simple())
}

pub(crate) type Log = Arc<dyn EventLog>;

/// The log of another process on the database, whose live copies Redis carries.
pub(crate) async fn redis_log(database: &Database, redis: &str, prefix: &str) -> Log {
    let live = RedisLive::new(redis, prefix).expect("a Redis URL");
    carried_log(database, Arc::new(SystemClock), Arc::new(live)).await
}

/// The log of another process on the database, with this carrier of live copies.
pub(crate) async fn carried_log(database: &Database, clock: Arc<dyn Clock>, live: Arc<dyn LiveCopies>) -> Log {
    let signals = Arc::new(PostgresSignals::new(&database.url()).expect("signals"));
    let options = PostgresOptions::default().with_clock(clock).with_connections(6).with_signals(signals);
    let db = database.open(options).await;
    let options = PostgresLogOptions::default().with_retention(RETENTION).with_live_copies(live);
    Arc::new(PostgresEventLog::open_with(&db, options).await.expect("open the log"))
}

pub(crate) fn new_log() -> LogKey {
    LogKey { thread_id: ThreadId(Uuid::now_v7()), run_id: RunId(Uuid::now_v7()) }
}

pub(crate) fn event(n: usize) -> NewEvent {
    NewEvent { name: "values".into(), data: Bytes::from(n.to_string()) }
}

pub(crate) fn number(event: &Event) -> usize {
    std::str::from_utf8(&event.data).ok().and_then(|text| text.parse().ok()).expect("a number")
}

/// All events up to the end of the log.
pub(crate) async fn rest(stream: EventStream) -> Vec<Event> {
    stream.map(|event| event.expect("no failure")).collect().await
}

#[track_caller]
pub(crate) fn rising(events: &[Event]) {
    if let Some(pair) = events.windows(2).find(|pair| pair[0].id >= pair[1].id) {
        let shown = |event: &Event| format!("{} {:?}", event.id, event.data);
        panic!("ids must rise, but after {} came {}", shown(&pair[0]), shown(&pair[1]));
    }
}
