//! What the tests of event logs share.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use langopen_core::event_log::{Event, EventId, EventStream, LogKey, NewEvent, ReadFrom};
use langopen_core::ids::RunId;
use uuid::Uuid;

use super::Fixture;
use super::support::{SECOND, thread_id};

pub(super) const BEGINNING: ReadFrom = ReadFrom::After(EventId::ZERO);

/// A run on a thread of its own.
pub(super) fn log() -> LogKey {
    LogKey { thread_id: thread_id(), run_id: RunId(Uuid::now_v7()) }
}

pub(super) fn events(numbers: impl IntoIterator<Item = usize>) -> Vec<NewEvent> {
    let event = |n: usize| NewEvent { name: "values".into(), data: Bytes::from(n.to_string()) };
    numbers.into_iter().map(event).collect()
}

pub(super) fn number(event: &Event) -> usize {
    std::str::from_utf8(&event.data).ok().and_then(|text| text.parse().ok()).expect("an event of this test")
}

pub(super) async fn append(backend: &Fixture, log: LogKey, resumable: bool, numbers: impl IntoIterator<Item = usize>) {
    backend.event_log().append(log, 1, resumable, events(numbers)).await.expect("append");
}

pub(super) async fn read(backend: &Fixture, log: LogKey, from: ReadFrom) -> EventStream {
    backend.event_log().read(log, from).await.expect("read")
}

/// The next event, which must come soon; `None` at the end.
pub(super) async fn next(stream: &mut EventStream) -> Option<Event> {
    let next = tokio::time::timeout(SECOND * 10, stream.next()).await.expect("an event or the end must come");
    next.map(|event| event.expect("no failure"))
}

/// Everything up to the end.
pub(super) async fn rest(mut stream: EventStream) -> Vec<Event> {
    let mut all = Vec::new();
    while let Some(event) = next(&mut stream).await {
        all.push(event);
    }
    all
}

pub(super) fn numbers(events: &[Event]) -> Vec<usize> {
    events.iter().map(number).collect()
}

#[track_caller]
pub(super) fn rising(events: &[Event]) {
    assert!(
        events.windows(2).all(|pair| pair[0].id < pair[1].id),
        "ids must rise: {:?}",
        events.iter().map(|e| e.id).collect::<Vec<_>>()
    );
}

pub(super) async fn quiet(stream: &mut EventStream) {
    let next = tokio::time::timeout(Duration::from_millis(30), stream.next()).await;
    assert!(next.is_err(), "nothing must come yet: {next:?}");
}
