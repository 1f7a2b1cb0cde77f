//! When what an execution said is kept.

use std::future::poll_fn;
use std::task::Poll;

/// Waits for a round in which there is nothing more, as a branch of what a stream of outputs waits for, behind the outputs. Whoever polls a run's outputs
/// keeps what came before it polls again after there was nothing (see [`Executor::execute`](super::Executor::execute)): so all that was said is kept then.
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
