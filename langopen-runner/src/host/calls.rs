//! Calls to a host: questions about graphs and states.

use bytes::Bytes;
use langopen_core::executor::ExecutionContext;
use langopen_core::{Error, ErrorKind, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use super::Host;
use super::connection::Answer;
use super::question::Question;
use super::serve::Reach;
use crate::frame::payload::{CallError, from_json};
use crate::frame::{Frame, Kind};

/// A call that waits for its answer.
pub(super) struct Waiting {
    pub(super) answer: Answer,
    pub(super) reach: Option<Reach>,
}

/// The payload of a question's CALL.
#[derive(Serialize)]
struct HostQuestion<'a, Q> {
    method: &'static str,
    params: &'a Q,
}

/// The names of Python errors that are the client's fault.
const CLIENT_ERRORS: [&str; 3] = ["ValueError", "InvalidUpdateError", "EmptyInputError"];

impl Host {
    /// Asks the host about a graph and waits for its answer.
    pub(crate) async fn call<Q: Question>(&self, context: ExecutionContext, question: &Q) -> Result<Q::Answer> {
        let call = HostQuestion { method: Q::METHOD, params: question };
        let frame = self.ask(Some(Reach::new(context)), &call).await?;
        match frame.kind {
            Kind::Reply => from_json("host.call", &frame.payload),
            _ => Err(refused(&frame.payload)),
        }
    }

    /// Calls the application's `Auth` object and waits for its answer. Any exception of its code is an internal error
    /// of the server.
    pub(crate) async fn ask_auth<T: DeserializeOwned>(&self, call: &impl Serialize) -> Result<T> {
        let frame = self.ask(None, call).await?;
        match frame.kind {
            Kind::Reply => from_json("host.auth", &frame.payload),
            _ => {
                let CallError { error, message } = from_json("host.auth", &frame.payload)?;
                Err(Error::internal("host.auth", format!("{error}: {message}")))
            }
        }
    }

    /// Calls another part of the application and waits for its answer.
    pub(crate) async fn ask_app<T: DeserializeOwned>(&self, call: &impl Serialize) -> Result<T> {
        let frame = self.ask(None, call).await?;
        match frame.kind {
            Kind::Reply => from_json("host.call", &frame.payload),
            _ => Err(refused(&frame.payload)),
        }
    }

    /// Sends a call and waits for its REPLY or ERROR. `reach` bounds the calls that the host makes meanwhile.
    async fn ask(&self, reach: Option<Reach>, call: &impl Serialize) -> Result<Frame> {
        let gone = || Error::unavailable("host.call", "the graph host died before it answered; try again");
        let payload = serde_json::to_vec(call)
            .map_err(|error| Error::internal("host.call", "the call cannot be encoded as JSON").with_source(error))?;
        let id = self.next_handle()?;
        let (answer, answered) = oneshot::channel();
        self.waiting.lock().insert(id, Waiting { answer, reach });
        let _withdraw = Withdraw { host: self, id };
        self.count(1);
        if !self.send(Frame::new(Kind::Call, id, payload)) {
            return Err(gone());
        }
        answered.await.map_err(|_| gone())
    }
}

/// Removes a call when its caller stops waiting.
struct Withdraw<'a> {
    host: &'a Host,
    id: u32,
}

impl Drop for Withdraw<'_> {
    fn drop(&mut self) {
        self.host.waiting.lock().remove(&self.id);
        self.host.count(-1);
    }
}

fn refused(payload: &Bytes) -> Error {
    match from_json::<CallError>("host.call", payload) {
        Err(error) => error,
        Ok(CallError { error, message }) if CLIENT_ERRORS.contains(&error.as_str()) => {
            Error::new(ErrorKind::Graph, "host.call", message)
        }
        Ok(CallError { error, message }) if error == "GraphNotFound" => {
            Error::new(ErrorKind::NotFound, "host.call", message)
        }
        Ok(CallError { error, message }) if error == "UnsupportedOperation" => {
            Error::new(ErrorKind::Unsupported, "host.call", message)
        }
        Ok(CallError { error, message }) => Error::internal("host.call", format!("{error}: {message}")),
    }
}
