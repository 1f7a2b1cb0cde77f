//! Bounds the memory for frames that a host sent and the runner has not handled yet.
//!
//! Credit bounds the events of an honest host. Calls have no credit, and a hostile host may ignore its credit. So the
//! runner counts the frames that it has read and not yet handled. Above the limit, it stops reading from the
//! connection, and the host blocks in its own writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The most that may be unhandled: bytes of payloads, and a number of frames.
const MAX_BYTES: usize = 128 * 1024 * 1024;
const MAX_FRAMES: usize = 8192;

/// The unhandled frames of one host.
#[derive(Default)]
pub(super) struct Budget {
    bytes: AtomicUsize,
    frames: AtomicUsize,
    freed: Notify,
    exhausted: AtomicBool,
}

/// The part of a budget that one frame takes. Dropping it frees that part.
pub(crate) struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    /// Takes a frame's share, even if the budget is exhausted: the frame has already been read.
    pub(super) fn take(self: &Arc<Self>, bytes: usize) -> Share {
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
        self.frames.fetch_add(1, Ordering::AcqRel);
        Share { budget: Arc::clone(self), bytes }
    }

    /// Waits until the runner may read another frame.
    pub(super) async fn room(&self) {
        while self.is_full() {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if !self.is_full() {
                break;
            }
            self.exhausted.store(true, Ordering::Release);
            freed.await;
        }
        self.exhausted.store(false, Ordering::Release);
    }

    /// Whether the runner has stopped reading. A missing answer is then not the host's fault.
    pub(super) fn is_exhausted(&self) -> bool {
        self.exhausted.load(Ordering::Acquire)
    }

    fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Acquire) > MAX_BYTES || self.frames.load(Ordering::Acquire) > MAX_FRAMES
    }
}

impl Share {
    /// Replaces the bytes of a question by the bytes of its answer.
    pub(crate) fn resize(mut self, bytes: usize) -> Self {
        self.budget.bytes.fetch_add(bytes, Ordering::AcqRel);
        self.budget.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
        self.bytes = bytes;
        self
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
        self.budget.frames.fetch_sub(1, Ordering::AcqRel);
        self.budget.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn reading_waits_for_room() {
        let budget = Arc::new(Budget::default());
        budget.room().await;
        let (large, small) = (budget.take(MAX_BYTES), budget.take(1));
        let mut waiting = Box::pin(budget.room());
        assert!(waiting.as_mut().now_or_never().is_none() && budget.is_exhausted());
        drop(small);
        waiting.await;
        assert!(!budget.is_exhausted());
        let large = large.resize(MAX_BYTES + 1);
        assert!(budget.room().now_or_never().is_none(), "an answer counts as well");
        drop(large);
        let frames: Vec<_> = (0..=MAX_FRAMES).map(|_| budget.take(0)).collect();
        assert!(budget.room().now_or_never().is_none());
        drop(frames);
        assert!(budget.room().now_or_never().is_some());
    }
}
