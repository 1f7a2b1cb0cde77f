//! Detects when the events of an execution are stored.

use std::future::poll_fn;
use std::task::Poll;

/// Waits for a poll in which the stream has nothing more to yield. Use it as the last branch of the stream's poll,
/// after the outputs.
///
/// A caller that polls again after the stream was pending has stored every earlier event (see
/// [`Executor::execute`](super::Executor::execute)). So when this future completes, all earlier events are stored.
pub async fn a_quiet_round() {
    let mut quiet = false;
    poll_fn(|context| match std::mem::replace(&mut quiet, true) {
        true => Poll::Ready(()),
        false => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}
