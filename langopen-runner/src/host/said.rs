//! Outputs of a run on their way to the run's reader.

use langopen_core::executor::AttemptLost;
use tokio::sync::{mpsc, oneshot};

use super::budget::Share;
use crate::frame::Frame;

/// One output of a run. Outputs keep the order in which the host sent them.
pub(super) enum Said {
    /// An event, or the end, with the room that it takes.
    Frame(Frame, Share),
    /// A checkpoint waits until all that came before is kept.
    Mark(oneshot::Sender<()>),
    /// The host ended. Nothing follows.
    Lost(AttemptLost),
}

/// A way to send marks. It keeps no run from ending.
#[derive(Clone)]
pub(super) struct Marks(mpsc::WeakUnboundedSender<Said>);

impl Marks {
    pub(super) fn of(run: &mpsc::UnboundedSender<Said>) -> Self {
        Self(run.downgrade())
    }

    /// Ends when all earlier events are kept, or when the run's reader is gone.
    pub(super) fn set(&self) -> impl Future<Output = ()> + Send + 'static {
        let (mark, kept) = oneshot::channel();
        if let Some(run) = self.0.upgrade() {
            // Without a reader, the mark is dropped, and its wait is over too.
            let _ = run.send(Said::Mark(mark));
        }
        async move {
            let _ = kept.await;
        }
    }
}
