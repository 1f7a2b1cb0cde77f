//! Checkpoints of one run, kept in the order in which its graph made them.
//!
//! A host does not wait for one checkpoint to be kept before it sends the next, and each holds only what changed since the one before. So none may be kept before
//! those that it stands on, or instead of one that could not be: whoever went on from there would find a state with holes.

use std::sync::Arc;

use langopen_core::{Error, Result};
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Gives turns in the order in which they are taken.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Mutex<Option<oneshot::Receiver<()>>>>);

/// One turn: it comes when those before it are done, and is lost when one of them failed.
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
    /// Does the work when the turn has come.
    ///
    /// # Errors
    /// `Unavailable` when what came before failed; otherwise the work's own.
    pub(super) async fn run<T>(self, work: impl Future<Output = Result<T>>) -> Result<T> {
        if let Some(before) = self.before {
            let lost = |_| Error::unavailable("host.serve", "a checkpoint that this one stands on could not be kept");
            before.await.map_err(lost)?;
        }
        let done = work.await?;
        // Without a next one there is nobody to tell.
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
        assert!(third.unwrap_err().message() == "no" && fourth.unwrap_err().message().contains("stands on"));
        assert!(turns.take().run(async { Ok(()) }).await.is_err(), "and nothing ever after");
    }
}
