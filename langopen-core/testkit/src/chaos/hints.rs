//! Hints that may be lost.

use std::sync::{Arc, OnceLock};

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, broadcast};
use tokio::task::AbortHandle;

use super::Chaos;

pub(super) type Wakes = OnceLock<Relay<Arc<Notify>>>;
pub(super) type Broadcast<H> = OnceLock<Relay<broadcast::Sender<H>>>;

/// The number of hints that a receiver may lag behind.
const BEHIND: usize = 1024;

/// Forwards hints to `outer` and loses some. The task ends when the relay is dropped.
pub(super) struct Relay<O> {
    outer: O,
    task: AbortHandle,
}

impl<O> Drop for Relay<O> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The hints of `inner` without the lost ones. If hints may be lost, this needs a Tokio runtime.
pub(super) fn wakes(chaos: &Chaos, hint: &'static str, relay: &Wakes, inner: Arc<Notify>) -> Arc<Notify> {
    if !chaos.may_lose(hint) {
        return inner;
    }
    let relay = relay.get_or_init(|| {
        let (outer, chaos) = (Arc::new(Notify::new()), chaos.clone());
        let to = Arc::clone(&outer);
        let task = tokio::spawn(async move {
            loop {
                inner.notified().await;
                if !chaos.loses(hint) {
                    to.notify_one();
                }
            }
        });
        Relay { outer, task: task.abort_handle() }
    });
    relay.outer.clone()
}

/// The same for hints with a value.
pub(super) fn heard<H: Clone + Send + 'static>(
    chaos: &Chaos,
    hint: &'static str,
    relay: &Broadcast<H>,
    mut inner: broadcast::Receiver<H>,
) -> broadcast::Receiver<H> {
    if !chaos.may_lose(hint) {
        return inner;
    }
    let relay = relay.get_or_init(|| {
        let (outer, chaos) = (broadcast::Sender::new(BEHIND), chaos.clone());
        let to = outer.clone();
        let task = tokio::spawn(async move {
            loop {
                match inner.recv().await {
                    // Without a receiver, the hint is dropped.
                    Ok(value) if !chaos.loses(hint) => drop(to.send(value)),
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                }
            }
        });
        Relay { outer, task: task.abort_handle() }
    });
    relay.outer.subscribe()
}
