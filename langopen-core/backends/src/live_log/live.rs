//! A live reader: the end that events are pushed into, and the stream that they come out of.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use futures::channel::mpsc;
use futures::{Stream, StreamExt};
use langopen_core::error::{Error, Result};
use langopen_core::event_log::Event;
use langopen_core::ids::{RunId, ThreadId};

/// How many bytes of events a reader may be behind.
const READER_BYTES: usize = 32 * 1024 * 1024;

/// What an event costs beside its data, so that many small ones count too.
const EVENT_OVERHEAD: usize = 64;

fn cost(event: &Event) -> usize {
    event.data.len() + EVENT_OVERHEAD
}

/// Where a reader has its place.
pub(crate) trait Home: Send + Sync {
    /// A reader of the run, or of the whole thread, has gone.
    fn reader_left(&self, thread_id: ThreadId, run_id: Option<RunId>);
}

/// The end that events are pushed into.
pub(crate) struct Reader {
    events: mpsc::UnboundedSender<Result<Event>>,
    waiting: Arc<AtomicUsize>,
}

impl Reader {
    /// Pushes events; `false` when the reader is gone, or is too slow and was told so.
    pub(crate) fn push<'a>(&self, events: impl IntoIterator<Item = &'a Event>) -> bool {
        events.into_iter().all(|event| {
            let behind = self.waiting.fetch_add(cost(event), Ordering::Relaxed) + cost(event);
            if behind <= READER_BYTES {
                return self.events.unbounded_send(Ok(event.clone())).is_ok();
            }
            let message = "this reader was too slow and lost its place; read again after the last event it got";
            // A reader that is gone need not hear that it was slow.
            let _ = self.events.unbounded_send(Err(Error::unavailable("event_log.read", message)));
            false
        })
    }

    /// Tells the reader that it has lost its place.
    #[cfg(feature = "postgres")]
    pub(crate) fn fail(&self, error: Error) {
        // A reader that is gone need not hear it.
        let _ = self.events.unbounded_send(Err(error));
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.events.is_closed()
    }
}

/// The stream that a reader's events come out of. It ends with the log.
pub(crate) struct LiveEvents {
    events: mpsc::UnboundedReceiver<Result<Event>>,
    waiting: Arc<AtomicUsize>,
    home: Weak<dyn Home>,
    thread_id: ThreadId,
    run_id: Option<RunId>,
}

impl LiveEvents {
    /// The two ends of a reader of a run, or of the whole thread.
    pub(crate) fn new(home: Weak<dyn Home>, thread_id: ThreadId, run_id: Option<RunId>) -> (Reader, Self) {
        // Thousands of readers have nothing to read: tokio's channel keeps room for 32 events each, this one for none.
        let (sender, events) = mpsc::unbounded();
        let waiting = Arc::<AtomicUsize>::default();
        (Reader { events: sender, waiting: waiting.clone() }, Self { events, waiting, home, thread_id, run_id })
    }
}

impl Stream for LiveEvents {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.events.poll_next_unpin(context);
        if let Poll::Ready(Some(Ok(event))) = &next {
            self.waiting.fetch_sub(cost(event), Ordering::Relaxed);
        }
        next
    }
}

impl Drop for LiveEvents {
    fn drop(&mut self) {
        self.events.close();
        if let Some(home) = self.home.upgrade() {
            home.reader_left(self.thread_id, self.run_id);
        }
    }
}
