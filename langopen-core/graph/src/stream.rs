//! The events of a run, by the stream modes that the client requested.

use std::collections::{BTreeSet, HashMap, HashSet};

use bytes::Bytes;
use langopen_core::clock::{Clock, Timestamp};
use langopen_core::error::{Error, Result};
use langopen_core::executor::RunOutput;
use langopen_core::json::JsonMap;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::messages;
use super::protocol::{self, Protocol};

/// Receives the waiters for the storage of all earlier events.
pub(super) type Marks = mpsc::UnboundedSender<oneshot::Sender<()>>;

/// Sends the events of a run and its subgraphs.
pub(super) struct Emitter {
    events: mpsc::Sender<RunOutput>,
    /// Receives requests to wait until all earlier events are stored.
    marks: Marks,
    modes: BTreeSet<String>,
    subgraphs: bool,
    sent: Mutex<Sent>,
    /// Set for runs of the event streaming protocol.
    protocol: Option<Mutex<Protocol>>,
}

/// The messages that were sent.
#[derive(Default)]
struct Sent {
    ids: HashSet<String>,
    /// The sum of each message's chunks.
    sums: HashMap<String, Value>,
}

impl Emitter {
    pub(super) fn new(kwargs: &JsonMap, events: mpsc::Sender<RunOutput>, marks: Marks) -> Self {
        let modes = match kwargs.get("stream_mode") {
            Some(Value::Array(modes)) => modes.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(Value::String(mode)) => BTreeSet::from([mode.clone()]),
            _ => BTreeSet::from(["values".to_owned()]),
        };
        let subgraphs = kwargs.get("subgraphs").and_then(Value::as_bool).unwrap_or_default();
        let protocol = modes.contains("lifecycle").then(Mutex::default);
        Self { events, marks, modes, subgraphs, sent: Mutex::default(), protocol }
    }

    /// Waits until all earlier events are stored. A later attempt does not repeat the events before a checkpoint, so
    /// readers must receive them from this attempt.
    pub(super) async fn events_are_stored(&self) {
        let (mark, stored) = oneshot::channel();
        // The receiver is gone when the run is over; then there is nothing to wait for.
        if self.marks.send(mark).is_ok() {
            let _ = stored.await;
        }
    }

    /// Whether the client requested this mode, and events of this namespace.
    pub(super) fn wants(&self, mode: &str, namespace: &str) -> bool {
        (namespace.is_empty() || self.subgraphs) && self.modes.contains(mode)
    }

    /// Whether the client requested messages in any mode.
    pub(super) fn wants_messages(&self, namespace: &str) -> bool {
        self.wants("messages", namespace) || self.wants("messages-tuple", namespace) || self.wants("events", namespace)
    }

    /// Sends an event of this mode, if the client requested it.
    pub(super) async fn emit(&self, mode: &str, namespace: &str, data: &impl Serialize) -> Result<()> {
        if !self.wants(mode, namespace) {
            return Ok(());
        }
        if self.protocol.is_none() {
            return self.send(mode, namespace, data).await;
        }
        let mut data = serde_json::to_value(data).map_err(no_form)?;
        protocol::compact(&mut data);
        self.send(mode, namespace, &data).await
    }

    /// Sends events that only runs of the protocol have.
    async fn send_all(&self, events: Vec<protocol::ProtocolEvent>) -> Result<()> {
        for (namespace, what, mut data) in events {
            protocol::compact(&mut data);
            self.send(&format!("protocol/{what}"), &namespace, &data).await?;
        }
        Ok(())
    }

    /// The events that the protocol makes; none for other runs.
    fn protocol(
        &self,
        make: impl FnOnce(&mut Protocol) -> Vec<protocol::ProtocolEvent>,
    ) -> Vec<protocol::ProtocolEvent> {
        self.protocol.as_ref().map(|protocol| make(&mut protocol.lock())).unwrap_or_default()
    }

    /// Sends the end of the run; `status` is `completed`, `interrupted` or `failed`.
    pub(super) async fn close(&self, status: &str) -> Result<()> {
        self.send_all(self.protocol(|protocol| protocol.close(status))).await
    }

    /// Sends a record of `tasks` or `checkpoints`. The mode `debug` shows it in its own frame.
    pub(super) async fn trace(&self, kind: Trace, namespace: &str, at: (i64, &dyn Clock), data: Value) -> Result<()> {
        let (step, clock) = at;
        if kind == Trace::Checkpoint && self.protocol.is_some() {
            return self.send("protocol/checkpoints", namespace, &protocol::checkpoint(&data)).await;
        }
        if kind == Trace::Task {
            self.send_all(self.protocol(|protocol| protocol.started(namespace))).await?;
        }
        self.emit(kind.mode(), namespace, &data).await?;
        if kind == Trace::TaskResult {
            self.send_all(self.protocol(|protocol| protocol.ended(&data))).await?;
        }
        if !self.wants("debug", namespace) {
            return Ok(());
        }
        let timestamp: Timestamp = clock.now();
        let payload = if kind == Trace::Checkpoint { with_locations(data) } else { data };
        let record = json!({"step": step, "timestamp": timestamp, "type": kind.name(), "payload": payload});
        self.send("debug", namespace, &record).await
    }

    /// Marks messages as known, so that they are not sent as new.
    pub(super) fn know<'a>(&self, messages: impl Iterator<Item = &'a Value>) {
        let ids = messages.filter_map(|message| message["id"].as_str()).map(str::to_owned);
        self.sent.lock().ids.extend(ids);
    }

    /// Sends a chunk of a message in progress.
    pub(super) async fn chunk(&self, namespace: &str, chunk: &Value, metadata: &Value) -> Result<()> {
        if !self.wants_messages(namespace) {
            return Ok(());
        }
        self.know(std::iter::once(chunk));
        if self.protocol.is_some() {
            let node = &metadata["langgraph_node"];
            return self.send_all(self.protocol(|protocol| protocol.chunk(namespace, chunk, node))).await;
        }
        if self.wants("messages-tuple", namespace) {
            return self.send("messages", namespace, &(chunk, metadata)).await;
        }
        if !self.wants("messages", namespace) {
            return Ok(());
        }
        let id = chunk["id"].as_str().unwrap_or_default().to_owned();
        let (first, so_far) = {
            let mut sent = self.sent.lock();
            match sent.sums.get_mut(&id) {
                Some(sum) => {
                    messages::merge(sum, chunk);
                    (false, messages::of_chunks(sum))
                }
                None => {
                    let whole = messages::of_chunks(chunk);
                    sent.sums.insert(id.clone(), chunk.clone());
                    (true, whole)
                }
            }
        };
        if first {
            self.send("messages/metadata", "", &json!({id: {"metadata": metadata}})).await?;
        }
        self.send("messages/partial", "", &[so_far]).await
    }

    /// Sends a whole message, unless it was already sent.
    pub(super) async fn message(&self, namespace: &str, message: &Value, metadata: &Value) -> Result<()> {
        let Some(id) = message["id"].as_str() else { return Ok(()) };
        if message["type"] == "remove" || !self.sent.lock().ids.insert(id.to_owned()) {
            return Ok(());
        }
        if self.protocol.is_some() {
            return self.send_all(Protocol::whole(namespace, message, &metadata["langgraph_node"])).await;
        }
        if self.wants("messages-tuple", namespace) {
            self.send("messages", namespace, &(message, metadata)).await
        } else if self.wants("messages", namespace) {
            self.send("messages/metadata", "", &json!({id: {"metadata": metadata}})).await?;
            self.send("messages/complete", "", &[message]).await
        } else {
            Ok(())
        }
    }

    /// Sends an event unchanged.
    async fn send(&self, name: &str, namespace: &str, data: &impl Serialize) -> Result<()> {
        let data = serde_json::to_vec(data).map_err(no_form)?;
        let name = if namespace.is_empty() { name.into() } else { format!("{name}|{namespace}").into() };
        let event = RunOutput::Event { name, data: Bytes::from(data) };
        let sent = self.events.send(event).await;
        sent.map_err(|_| Error::unavailable("executor.emit", "the run is over; its events are no longer read"))
    }
}

fn no_form(error: serde_json::Error) -> Error {
    Error::invalid("executor.emit", "the event has no JSON form").with_source(error)
}

/// The kinds of records of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trace {
    Checkpoint,
    Task,
    TaskResult,
}

impl Trace {
    fn mode(self) -> &'static str {
        if self == Self::Checkpoint { "checkpoints" } else { "tasks" }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Checkpoint => "checkpoint",
            Self::Task => "task",
            Self::TaskResult => "task_result",
        }
    }
}

/// The record of a checkpoint in the form of `debug`: checkpoints are named as in the API, besides their configs.
fn with_locations(mut record: Value) -> Value {
    let location = |config: &Value| {
        let named = ["checkpoint_id", "thread_id", "checkpoint_ns", "checkpoint_map"];
        let at = |key: &&str| Some(((*key).to_owned(), config["configurable"].get(*key)?.clone()));
        if config.is_null() { Value::Null } else { Value::Object(named.iter().filter_map(at).collect()) }
    };
    record["checkpoint"] = location(&record["config"]);
    record["parent_checkpoint"] = location(&record["parent_config"]);
    for task in record["tasks"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        if task.get("state").is_some_and(Value::is_object) {
            let config = task.shift_remove("state").unwrap_or_default();
            task.insert("checkpoint".to_owned(), config["configurable"].clone());
        }
    }
    record
}
