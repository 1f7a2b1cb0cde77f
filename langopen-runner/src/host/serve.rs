//! Answers calls of the host from the storage, within the scope of their run or call.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use langopen_core::executor::ExecutionContext;
use langopen_core::{Error, Result};
use tokio::sync::{Semaphore, watch};
use tracing::{debug, warn};

use super::Host;
use super::budget::Share;
use super::connection::Outgoing;
use super::message::Marks;
use super::storage;
use super::turns::Turns;
use crate::frame::payload::{CallError, Caller, HostCall};
use crate::frame::{Frame, Kind};

/// How many calls of one run reach the storage concurrently. The others wait, so one run cannot use up the storage's
/// connections.
const AT_ONCE: usize = 32;

/// Why a call of the run failed; set once the storage did not answer a call.
pub(super) type StorageFailure = Arc<OnceLock<String>>;

/// The part of the storage that the calls of a run or a question may reach, and the state of these calls.
#[derive(Clone)]
pub(super) struct Reach {
    pub(super) context: ExecutionContext,
    /// The number of writes in progress. A host does not wait for its writes, but its reads must see them.
    writes: watch::Sender<usize>,
    /// The order of the run's checkpoints.
    turns: Turns,
    /// The marks of a run with a resumable stream.
    marks: Option<Marks>,
    gate: Arc<Semaphore>,
    storage: StorageFailure,
}

impl Reach {
    pub(super) fn new(context: ExecutionContext) -> Self {
        let (gate, storage) = (Arc::new(Semaphore::new(AT_ONCE)), StorageFailure::default());
        Self { context, writes: watch::Sender::new(0), turns: Turns::default(), marks: None, gate, storage }
    }

    /// Why a call failed; set once the storage did not answer a call.
    pub(super) fn storage_failure(&self) -> StorageFailure {
        Arc::clone(&self.storage)
    }

    /// With marks, events reach the log before the checkpoints that follow them. A later attempt does not repeat the
    /// events before its checkpoint, so they must be in the log.
    pub(super) fn with_marks(self, marks: Option<Marks>) -> Self {
        Self { marks, ..self }
    }
}

/// A write in progress.
struct Write(watch::Sender<usize>);

impl Write {
    fn begin(reach: &Reach) -> Self {
        reach.writes.send_modify(|count| *count += 1);
        Self(reach.writes.clone())
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Answers one CALL frame in a task of its own. It is called in the order of the frames.
pub(super) fn serve(host: &Arc<Host>, frame: Frame) {
    let host = Arc::clone(host);
    let share = host.share(&frame);
    let call = rmp_serde::from_slice::<HostCall>(&frame.payload)
        .map_err(|error| Error::invalid("host.serve", "the call cannot be decoded").with_source(error))
        .and_then(|call| reach(&host, call.caller()).map(|reach| (call, reach)));
    let stream = frame.stream;
    // The call has its own copies.
    drop(frame);
    let write = call.as_ref().ok().filter(|(call, _)| call.is_write()).map(|(_, reach)| Write::begin(reach));
    let turn = match &call {
        Ok((HostCall::PutCheckpoint(_), reach)) => Some(reach.turns.take()),
        _ => None,
    };
    let events_stored = match &call {
        Ok((HostCall::PutCheckpoint(_) | HostCall::PutWrites(_), reach)) => reach.marks.as_ref().map(Marks::set),
        _ => None,
    };
    tokio::spawn(async move {
        if let Some(stored) = events_stored {
            stored.await;
        }
        let answer = match call {
            Err(error) => Err(error),
            Ok((call, reach)) => {
                if write.is_none() {
                    // `reach` holds the sender, so waiting cannot fail.
                    let _ = reach.writes.subscribe().wait_for(|count| *count == 0).await;
                }
                let answer = gated(&reach, call);
                let answer = match turn {
                    Some(turn) => turn.run(answer).await,
                    None => answer.await,
                };
                if let Some(error) = answer.as_ref().err().filter(|error| error.is_retryable()) {
                    // The first failure explains the later ones.
                    let _ = reach.storage.set(error.to_string());
                }
                answer
            }
        };
        drop(write);
        reply(&host, stream, answer, share);
    });
}

/// Answers a call once the run's other calls leave a free permit. Callers complete all other waits first: a call that
/// waits for another one must not hold a permit.
async fn gated(reach: &Reach, call: HostCall) -> Result<Bytes> {
    // The semaphore is never closed.
    let _permit = reach.gate.acquire().await;
    storage::answer(&reach.context, call).await
}

fn reply(host: &Host, stream: u32, answer: Result<Bytes>, share: Share) {
    let frame = match answer {
        Ok(payload) => Frame::new(Kind::Reply, stream, payload),
        Err(error) => {
            match error.is_retryable() || error.kind() == langopen_core::ErrorKind::Internal {
                true => warn!(host = host.number, %error, "a call from a graph host failed"),
                false => debug!(host = host.number, %error, "a call from a graph host was refused"),
            }
            let error = CallError { error: error.kind().as_str().to_owned(), message: error.to_string() };
            Frame::new(Kind::Error, stream, rmp_serde::to_vec_named(&error).unwrap_or_default())
        }
    };
    let share = Some(share.resize(frame.payload.len()));
    // If the connection is closed, no answer is needed.
    host.send(Outgoing { frame, share });
}

fn reach(host: &Host, caller: Caller) -> Result<Reach> {
    let run = caller.run.and_then(|handle| host.runs.lock().get(&handle).map(|run| run.reach.clone()));
    let call = || caller.call.and_then(|id| host.waiting.lock().get(&id).and_then(|waiting| waiting.reach.clone()));
    run.or_else(call).ok_or_else(|| Error::conflict("host.serve", "the run or call of this host call has ended"))
}
