//! The outputs of a run on their way to the run's reader.

use langopen_core::executor::AttemptLost;
use tokio::sync::{mpsc, oneshot};

use super::budget::Share;
use crate::frame::Frame;

/// One output of a run. Outputs arrive in the order in which the host sent them.
pub(super) enum RunMessage {
    /// An event or the end of the run, with its share of the budget.
    Frame(Frame, Share),
    /// A checkpoint that waits until all earlier events are in the log.
    Mark(oneshot::Sender<()>),
    /// The host ended. Nothing follows.
    Lost(AttemptLost),
}

/// A sender of marks. It does not keep the run's channel open.
#[derive(Clone)]
pub(super) struct Marks(mpsc::WeakUnboundedSender<RunMessage>);

impl Marks {
    pub(super) fn of(run: &mpsc::UnboundedSender<RunMessage>) -> Self {
        Self(run.downgrade())
    }

    /// Completes when all earlier events are in the log, or when the run's reader has stopped.
    pub(super) fn set(&self) -> impl Future<Output = ()> + Send + 'static {
        let (mark, stored) = oneshot::channel();
        if let Some(run) = self.0.upgrade() {
            // Without a reader, the mark is dropped, which ends the wait too.
            let _ = run.send(RunMessage::Mark(mark));
        }
        async move {
            let _ = stored.await;
        }
    }
}
