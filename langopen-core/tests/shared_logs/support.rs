//! What the tests share: servers, logs on them, and events that count.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use langopen_core::backend::redis::{RedisEventLog, RedisLogOptions};
use langopen_core::clock::{Clock, ManualClock, Timestamp};
use langopen_core::event_log::{Event, EventStream, LogKey, NewEvent};
use langopen_core::{RunId, ThreadId};
use uuid::Uuid;

pub(crate) const RETENTION: Duration = Duration::from_secs(60);

pub(crate) async fn redis_url() -> String {
    std::env::var("REDIS_URL").expect("REDIS_URL names a Redis server")
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_micros(1_763_900_000_123_456)))
}

/// A prefix that no other test has.
pub(crate) fn prefix() -> String {
    format!("test:{}:", Uuid::new_v4().simple())
}

pub(crate) fn options(prefix: &str, clock: Arc<dyn Clock>) -> RedisLogOptions {
    RedisLogOptions::default().with_prefix(prefix).with_clock(clock).with_retention(RETENTION)
}

pub(crate) async fn redis_log(prefix: &str, clock: Arc<dyn Clock>) -> RedisEventLog {
    RedisEventLog::open(&redis_url().await, options(prefix, clock)).await.expect("open the log")
}

pub(crate) fn new_log() -> LogKey {
    LogKey { thread_id: ThreadId(Uuid::now_v7()), run_id: RunId(Uuid::now_v7()) }
}

pub(crate) fn event(n: usize) -> NewEvent {
    NewEvent { name: "values".into(), data: Bytes::from(n.to_string()) }
}

pub(crate) fn number(event: &Event) -> usize {
    std::str::from_utf8(&event.data).unwrap().parse().unwrap()
}

/// Everything up to the end.
pub(crate) async fn rest(stream: EventStream) -> Vec<Event> {
    stream.map(|event| event.expect("no failure")).collect().await
}

#[track_caller]
pub(crate) fn rising(events: &[Event]) {
    let ids: Vec<_> = events.iter().map(|event| event.id).collect();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "ids must rise: {ids:?}");
}
