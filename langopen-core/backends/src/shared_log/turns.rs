//! The turns of a process's append calls: one call for each thread at a time, in order.

use std::collections::HashMap;
use std::sync::Arc;

use langopen_core::ids::ThreadId;
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::append::Tail;

/// How many threads are remembered before the idle ones are forgotten.
const REMEMBERED: usize = 4096;

/// A call's turn, with the end of the thread's log.
pub(super) type Turn = OwnedMutexGuard<Tail>;

/// The turns of all threads.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<ThreadId, Arc<AsyncMutex<Tail>>>>);

impl Turns {
    /// Waits for a thread's turn.
    pub(super) async fn of(&self, thread_id: ThreadId) -> Turn {
        let turn = self.find(thread_id);
        turn.lock_owned().await
    }

    fn find(&self, thread_id: ThreadId) -> Arc<AsyncMutex<Tail>> {
        let mut threads = self.0.lock();
        if threads.len() >= REMEMBERED && !threads.contains_key(&thread_id) {
            threads.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        threads.entry(thread_id).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn a_thread_whose_turn_is_held_is_not_forgotten() {
        let turns = Turns::default();
        let held = turns.of(ThreadId(Uuid::from_u128(1))).await;
        for n in 2..=REMEMBERED as u128 + 1 {
            drop(turns.of(ThreadId(Uuid::from_u128(n))).await);
        }
        assert_eq!(turns.0.lock().len(), 2, "the one that is held, and the newest");
        drop(held);
    }
}
