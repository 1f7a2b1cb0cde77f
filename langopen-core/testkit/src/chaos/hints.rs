//! Hints that may not come.

use std::sync::{Arc, OnceLock};

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, broadcast};
use tokio::task::AbortHandle;

use super::Chaos;

pub(super) type Wakes = OnceLock<Relay<Arc<Notify>>>;
pub(super) type Broadcast<H> = OnceLock<Relay<broadcast::Sender<H>>>;

/// How many hints a listener may be behind.
const BEHIND: usize = 1024;

/// What passes hints on to `outer`, and loses some. It ends with its owner.
pub(super) struct Relay<O> {
    outer: O,
    task: AbortHandle,
}

impl<O> Drop for Relay<O> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The hints of `inner`, without those that get lost. Needs a tokio runtime if any may.
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

/// The same for hints that say something.
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
                    // Without a receiver there is nobody to tell.
                    Ok(said) if !chaos.loses(hint) => drop(to.send(said)),
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                }
            }
        });
        Relay { outer, task: task.abort_handle() }
    });
    relay.outer.subscribe()
}
