//! Who appends to a thread: one call of this process at a time, in order.

use std::collections::HashMap;
use std::sync::Arc;

use langopen_core::event_log::EventId;
use langopen_core::ids::ThreadId;
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// How many threads are remembered before those that nobody appends to are forgotten.
const REMEMBERED: usize = 4096;

/// The last place in a thread that this process knows of, while it is its turn.
pub(super) type Turn = OwnedMutexGuard<EventId>;

#[derive(Default)]
struct State {
    threads: HashMap<ThreadId, Arc<AsyncMutex<EventId>>>,
    /// No thread that was forgotten went beyond this.
    floor: EventId,
}

/// The turns of all threads.
#[derive(Default)]
pub(super) struct Turns(Mutex<State>);

impl Turns {
    /// Waits for a thread's turn.
    pub(super) async fn of(&self, thread_id: ThreadId) -> Turn {
        let turn = self.find(thread_id);
        turn.lock_owned().await
    }

    fn find(&self, thread_id: ThreadId) -> Arc<AsyncMutex<EventId>> {
        let mut state = self.0.lock();
        let State { threads, floor } = &mut *state;
        if threads.len() >= REMEMBERED && !threads.contains_key(&thread_id) {
            threads.retain(|_, turn| match Arc::get_mut(turn) {
                Some(last) => {
                    *floor = (*floor).max(*last.get_mut());
                    false
                }
                None => true,
            });
        }
        threads.entry(thread_id).or_insert_with(|| Arc::new(AsyncMutex::new(*floor))).clone()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn places_rise_in_a_thread_that_was_forgotten() {
        let (turns, thread_id) = (Turns::default(), ThreadId(Uuid::from_u128(0)));
        *turns.of(thread_id).await = EventId { millis: 5, sequence: 3 };
        let held = turns.of(ThreadId(Uuid::from_u128(1))).await;
        for n in 2..=REMEMBERED as u128 {
            drop(turns.of(ThreadId(Uuid::from_u128(n))).await);
        }
        assert_eq!(turns.0.lock().threads.len(), 2, "the one that is held, and the newest");
        assert_eq!(*turns.of(thread_id).await, EventId { millis: 5, sequence: 3 });
        drop(held);
    }
}
