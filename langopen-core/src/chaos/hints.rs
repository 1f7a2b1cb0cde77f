//! Hints that may not come.

use std::sync::{Arc, Weak};

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, broadcast};
use tokio::task::AbortHandle;

use super::Chaos;
use crate::queue::CancelSignal;

/// What passes hints on to `outer`, and loses some. It ends with its owner.
pub(super) struct Relay<O> {
    pub(super) outer: O,
    task: AbortHandle,
}

impl<O> Drop for Relay<O> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Relay<Arc<Notify>> {
    /// Needs a tokio runtime.
    pub(super) fn of_wakes(chaos: &Chaos, hint: &'static str, inner: Arc<Notify>) -> Self {
        let outer = Arc::new(Notify::new());
        let (chaos, to) = (chaos.clone(), Arc::downgrade(&outer));
        let task = tokio::spawn(async move {
            loop {
                inner.notified().await;
                let Some(to) = Weak::upgrade(&to) else { return };
                if !chaos.loses(hint) {
                    to.notify_one();
                }
            }
        });
        Self { outer, task: task.abort_handle() }
    }
}

impl Relay<broadcast::Sender<CancelSignal>> {
    /// Needs a tokio runtime.
    pub(super) fn of_cancels(
        chaos: &Chaos,
        hint: &'static str,
        mut inner: broadcast::Receiver<CancelSignal>,
    ) -> Self {
        const BEHIND: usize = 1024;
        let outer = broadcast::Sender::new(BEHIND);
        let (chaos, to) = (chaos.clone(), outer.clone());
        let task = tokio::spawn(async move {
            loop {
                match inner.recv().await {
                    // Without a receiver there is nobody to tell.
                    Ok(signal) if !chaos.loses(hint) => drop(to.send(signal)),
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                }
            }
        });
        Self { outer, task: task.abort_handle() }
    }
}
