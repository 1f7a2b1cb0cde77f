//! Stores one run's checkpoints in the order in which its graph made them.
//!
//! A host sends a checkpoint without waiting for the previous one, and each contains only the changes since then. So
//! the runner stores no checkpoint before the ones that it builds on, and none after one that it failed to store.
//! Otherwise a later attempt would continue from an incomplete state.

use std::sync::Arc;

use langopen_core::{Error, Result};
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Assigns turns in order.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Mutex<Option<oneshot::Receiver<()>>>>);

/// One turn. It begins when all earlier turns have ended, and never begins if one of them failed.
pub(super) struct Turn {
    before: Option<oneshot::Receiver<()>>,
    done: oneshot::Sender<()>,
}

impl Turns {
    pub(super) fn take(&self) -> Turn {
        let (done, next) = oneshot::channel();
        Turn { before: self.0.lock().replace(next), done }
    }
}

impl Turn {
    /// Does the work when the turn begins.
    ///
    /// # Errors
    /// `Unavailable` if an earlier turn failed; otherwise the error of the work.
    pub(super) async fn run<T>(self, work: impl Future<Output = Result<T>>) -> Result<T> {
        if let Some(before) = self.before {
            let lost = |_| Error::unavailable("host.serve", "a checkpoint that this one builds on could not be stored");
            before.await.map_err(lost)?;
        }
        let done = work.await?;
        // There may be no next turn.
        let _ = self.done.send(());
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_in_turn_and_not_after_a_failure() {
        let (turns, seen) = (Turns::default(), Mutex::new(Vec::new()));
        let [first, second, third, fourth] = std::array::from_fn(|_| turns.take());
        let note = async |n: u32, ends: Result<()>| {
            seen.lock().push(n);
            ends
        };
        let failed = Err(Error::unavailable("test", "no"));
        let (fourth, third, second, first) = tokio::join!(
            fourth.run(note(4, Ok(()))),
            third.run(note(3, failed)),
            second.run(note(2, Ok(()))),
            first.run(note(1, Ok(())))
        );
        assert_eq!(*seen.lock(), [1, 2, 3], "in order, and nothing after the failure");
        assert!(first.is_ok() && second.is_ok());
        assert!(third.unwrap_err().message() == "no" && fourth.unwrap_err().message().contains("builds on"));
        assert!(turns.take().run(async { Ok(()) }).await.is_err(), "and nothing ever after");
    }
}
