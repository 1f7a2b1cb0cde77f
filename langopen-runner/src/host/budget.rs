//! Bounds the memory for frames that a host sent and the runner has not handled yet.
//!
//! The runner counts the frames that it has read and not yet handled, in two budgets. Above the limit of either, it
//! stops reading from the connection, and the host blocks in its own writes.
//!
//! - Calls and the like have no credit. The runner handles them by itself, so their number falls again.
//! - The outputs of a run wait for the run's reader. Credit bounds them for each run, so their budget is far larger:
//!   runs that nobody reads must not stop the frames of other runs. Only events and states far longer than a run's
//!   credit can exhaust it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The most calls that may be unhandled: bytes of payloads, and a number of frames.
const MAX_BYTES: usize = 128 * 1024 * 1024;
const MAX_FRAMES: usize = 8192;

/// The most bytes of outputs that may wait for the readers of their runs.
const MAX_UNREAD: usize = 512 * 1024 * 1024;

/// The unhandled frames of one host.
pub(super) struct Budget {
    max_bytes: usize,
    max_frames: usize,
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
    /// The budget for calls and all other frames that the runner handles by itself.
    pub(super) fn for_calls() -> Arc<Self> {
        Self::new(MAX_BYTES, MAX_FRAMES)
    }

    /// The budget for the outputs of runs. Credit bounds the number of frames.
    pub(super) fn for_outputs() -> Arc<Self> {
        Self::new(MAX_UNREAD, usize::MAX)
    }

    /// The budget for outputs that a relay passes on as fast as the network takes them.
    pub(super) fn for_relayed_outputs() -> Arc<Self> {
        Self::new(MAX_BYTES, usize::MAX)
    }

    fn new(max_bytes: usize, max_frames: usize) -> Arc<Self> {
        let (bytes, frames, exhausted) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
        Arc::new(Self { max_bytes, max_frames, bytes, frames, freed: Notify::new(), exhausted })
    }

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
        self.bytes.load(Ordering::Acquire) > self.max_bytes || self.frames.load(Ordering::Acquire) > self.max_frames
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
        let budget = Budget::for_calls();
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
