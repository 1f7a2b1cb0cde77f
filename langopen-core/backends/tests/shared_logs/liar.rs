//! A carrier of live copies that loses, repeats and reorders them.

use std::sync::Arc;

use bytes::Bytes;
use langopen_backends::live_copies::{Delivery, LiveCopies};
use langopen_core::ThreadId;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Lies about the copies of another carrier, by a seed.
pub(crate) struct Liar {
    inner: Arc<dyn LiveCopies>,
    random: Mutex<StdRng>,
    seed: u64,
}

impl Liar {
    pub(crate) fn new(inner: Arc<dyn LiveCopies>, seed: u64) -> Self {
        Self { inner, random: Mutex::new(StdRng::seed_from_u64(seed)), seed }
    }
}

impl LiveCopies for Liar {
    fn send(&self, thread_id: ThreadId, copy: Bytes) -> bool {
        let times = [0, 1, 1, 2][self.random.lock().random_range(0..4)];
        for _ in 0..times {
            self.inner.send(thread_id, copy.clone());
        }
        // It claims that the copy gets through, so no signal makes up for a lost one.
        true
    }

    fn watch(&self, thread_id: ThreadId) {
        self.inner.watch(thread_id);
    }

    fn unwatch(&self, thread_id: ThreadId) {
        self.inner.unwatch(thread_id);
    }

    /// Holds some deliveries back and delivers them later, after others, and again.
    fn deliveries(&self) -> UnboundedReceiver<Delivery> {
        let mut honest = self.inner.deliveries();
        let mut random = StdRng::seed_from_u64(!self.seed);
        let (deliver, deliveries) = unbounded_channel();
        tokio::spawn(async move {
            let mut held: Vec<Delivery> = Vec::new();
            while let Some(delivery) = honest.recv().await {
                match random.random_range(0..4) {
                    0 => held.push(delivery),
                    _ if deliver.send(delivery).is_err() => return,
                    _ => {}
                }
                while held.len() > 5 {
                    let at = random.random_range(0..held.len());
                    let late = if random.random_bool(0.5) { held[at].clone() } else { held.swap_remove(at) };
                    if deliver.send(late).is_err() {
                        return;
                    }
                }
            }
        });
        deliveries
    }
}
