//! Groups the events of one reader into batches. A batch holds the events that are already available, up to a number
//! and a size. A stalled reader holds at most one batch.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use parking_lot::Mutex;

use crate::error::Result;
use crate::event_log::{Event, EventId, EventStream};
use crate::ids::ThreadId;

/// The maximum number of events in a batch.
const MOST: usize = 64;

/// The number of bytes that ends a batch. A batch has at least one event, of any size.
const BYTES: usize = 64 * 1024;

/// The size from which readers share an event's data. Smaller data is cheaper to copy.
const SHARED: usize = 4 * 1024;

/// The events of a reader, in batches.
pub(super) struct Batches {
    events: EventStream,
    thread_id: ThreadId,
    shared: Arc<SharedData>,
    ended: bool,
}

impl Batches {
    /// Batches of the events of this thread, or of one of its runs.
    pub(super) fn new(shared: &Arc<SharedData>, thread_id: ThreadId, events: EventStream) -> Self {
        Self { events, thread_id, shared: Arc::clone(shared), ended: false }
    }
}

impl Stream for Batches {
    type Item = Vec<Result<Event>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while !self.ended && batch.len() < MOST && bytes < BYTES {
            match self.events.poll_next_unpin(context) {
                Poll::Ready(Some(item)) => {
                    let item = item.map(|event| self.shared.share(self.thread_id, event));
                    bytes += item.as_ref().map_or(0, |event| event.name.len() + event.data.len());
                    batch.push(item);
                }
                Poll::Ready(None) => self.ended = true,
                Poll::Pending if batch.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready((!batch.is_empty()).then_some(batch))
    }
}

/// The data of large events that at least one reader holds. A log that reads its events from a database makes a copy
/// for every reader. With this cache, readers at the same event share one copy.
#[derive(Default)]
pub(super) struct SharedData(Mutex<Held>);

#[derive(Default)]
struct Held {
    data: HashMap<(ThreadId, EventId), Weak<Bytes>>,
    /// The number of entries at which the next insertion removes the entries without readers.
    room: usize,
}

impl SharedData {
    /// Returns the event with data that it shares with other readers.
    fn share(&self, thread_id: ThreadId, event: Event) -> Event {
        if event.data.len() < SHARED {
            return event;
        }
        let mut held = self.0.lock();
        let known = held.data.get(&(thread_id, event.id)).and_then(Weak::upgrade);
        let data = match known.filter(|known| **known == event.data) {
            Some(known) => known,
            None => {
                let data = Arc::new(event.data);
                if held.data.len() >= held.room {
                    held.data.retain(|_, data| data.strong_count() > 0);
                    held.room = (2 * held.data.len()).max(64);
                }
                held.data.insert((thread_id, event.id), Arc::downgrade(&data));
                data
            }
        };
        Event { data: Bytes::from_owner(Owner(data)), ..event }
    }

    /// The number of bytes that readers hold.
    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.0.lock().data.values().filter_map(Weak::upgrade).map(|data| data.len()).sum()
    }
}

struct Owner(Arc<Bytes>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn events(count: u64, size: usize) -> EventStream {
        // Each reader has its own copy, as if from a database.
        let event = move |n: u64| Event {
            id: EventId { millis: 1, sequence: n },
            run_id: None,
            name: "values".into(),
            data: vec![b'1'; size].into(),
        };
        futures::stream::iter((0..count).map(move |n| Ok(event(n)))).boxed()
    }

    fn reader(shared: &Arc<SharedData>, events: EventStream) -> Batches {
        let thread_id = ThreadId(uuid::Uuid::nil());
        Batches { events, thread_id, shared: Arc::clone(shared), ended: false }
    }

    #[tokio::test]
    async fn batches_are_limited_in_number_and_in_bytes() {
        let shared = Arc::default();
        let sizes = async |count, size| {
            let batches = reader(&shared, events(count, size));
            batches.map(|batch| batch.len()).collect::<Vec<_>>().await
        };
        assert_eq!(sizes(130, 10).await, [64, 64, 2]);
        assert_eq!(sizes(5, 30_000).await, [3, 2]);
        assert_eq!(sizes(2, 10_000_000).await, [1, 1]);
        assert_eq!(sizes(0, 1).await, [0; 0]);
        let waiting = events(3, 10).chain(futures::stream::pending()).boxed();
        let mut waiting = reader(&shared, waiting);
        assert_eq!(waiting.next().await.map(|batch| batch.len()), Some(3));
        assert!(waiting.next().now_or_never().is_none());
    }

    #[tokio::test]
    async fn readers_of_the_same_event_share_its_data() {
        let shared = Arc::default();
        let mut readers: Vec<_> = (0..200).map(|_| reader(&shared, events(600, 100_000))).collect();
        let mut held = Vec::new();
        for reader in &mut readers {
            held.push(reader.next().await.unwrap());
        }
        assert_eq!(shared.bytes(), 100_000, "200 readers that stall hold one event");
        let data = |batch: &[Result<Event>]| batch[0].as_ref().unwrap().data.as_ptr();
        assert!(held.iter().all(|batch| data(batch) == data(&held[0])));
        drop(held);
        assert_eq!(shared.bytes(), 0);
        while let Some(batch) = readers[0].next().await {
            drop(batch);
        }
        assert!(shared.0.lock().data.len() <= 64, "the cache forgets data without readers");
    }
}
