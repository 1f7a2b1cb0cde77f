//! Calls that come at the same time are made in one query.

use langopen_core::error::{Error, Result};
use tokio::sync::{mpsc, oneshot};

/// The most calls in one query.
const MOST: usize = 128;

/// A call, and the channel for its answer.
pub(super) type Call<Q, A> = (Q, oneshot::Sender<Result<A>>);

/// The sending side: it hands calls to a task that groups them.
#[derive(Debug)]
pub(super) struct Group<Q, A>(mpsc::UnboundedSender<Call<Q, A>>);

impl<Q, A> Group<Q, A> {
    pub(super) fn new() -> (Self, Calls<Q, A>) {
        let (calls, waiting) = mpsc::unbounded_channel();
        (Self(calls), Calls(waiting))
    }

    /// Makes a call, in one query with the others that wait.
    pub(super) async fn call(&self, operation: &'static str, question: Q) -> Result<A> {
        let (answer, answered) = oneshot::channel();
        let gone = || Error::unavailable(operation, "the event log is closed");
        self.0.send((question, answer)).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// Makes a call without waiting for its answer.
    pub(super) fn tell(&self, question: Q) {
        // A closed log makes no more calls.
        let _ = self.0.send((question, oneshot::channel().0));
    }
}

/// The calls that wait.
pub(super) struct Calls<Q, A>(mpsc::UnboundedReceiver<Call<Q, A>>);

impl<Q, A> Calls<Q, A> {
    /// The next calls; `None` when there will be none.
    pub(super) async fn next(&mut self) -> Option<Vec<Call<Q, A>>> {
        let mut calls = Vec::new();
        (self.0.recv_many(&mut calls, MOST).await > 0).then_some(calls)
    }
}

/// Answers each of the calls.
pub(super) fn answer<A>(askers: Vec<oneshot::Sender<Result<A>>>, answers: Result<Vec<A>>) {
    match answers {
        Ok(answers) => {
            for (asker, answer) in askers.into_iter().zip(answers) {
                // The caller may have gone away.
                let _ = asker.send(Ok(answer));
            }
        }
        Err(error) => {
            for asker in askers {
                let _ = asker.send(Err(Error::new(error.kind(), error.operation(), error.to_string())));
            }
        }
    }
}
