//! Gives translated events their ids and numbers.

use langopen_core::RunId;
use langopen_core::event_log::EventId;
use serde_json::{Value, json};

use super::event::{Body, Method, Namespace, ProtocolEvent};
use super::number::number;
use super::tree::Status;

/// Collects the protocol events that come from events of the log.
#[derive(Debug, Default)]
pub(super) struct Out {
    pub(super) events: Vec<ProtocolEvent>,
    /// The number of the last event.
    pub(super) last: u64,
    source: EventId,
    /// The number of events from the source so far; `named` counts those whose ids derive from the source's id.
    count: u64,
    named: u64,
}

impl Out {
    /// The next events come from the log's event `source`. Their numbers are above `last`.
    pub(super) fn begin(&mut self, source: EventId, last: u64) {
        (self.source, self.last, self.count, self.named) = (source, last, 0, 0);
    }

    /// The next events have no event of the log. Their numbers are above `last`.
    pub(super) fn resume(&mut self, last: u64) {
        self.last = last;
    }

    pub(super) fn push(&mut self, method: Method, namespace: &Namespace, body: Body) {
        let id = self.id();
        self.push_event(id, method, namespace, None, body);
    }

    /// A custom event, which may have a name.
    pub(super) fn push_named(&mut self, namespace: &Namespace, name: Option<String>, body: Body) {
        let id = self.id();
        self.push_event(id, Method::Custom, namespace, name, body);
    }

    /// An event with a given id.
    pub(super) fn push_as(&mut self, id: String, method: Method, namespace: &Namespace, body: Body) {
        self.push_event(id, method, namespace, None, body);
    }

    /// A change of the status of a run's root graph.
    pub(super) fn lifecycle(&mut self, run_id: RunId, status: Status, graph_name: &str, error: Option<String>) {
        let mut data = json!({"event": status, "graph_name": graph_name});
        if let (Some(error), Value::Object(data)) = (error, &mut data) {
            data.insert("error".to_owned(), error.into());
        }
        let id = format!("synth:{run_id}:lc||{}", status.as_str());
        self.push_as(id, Method::Lifecycle, &Namespace::default(), Body::of(&data));
    }

    fn id(&mut self) -> String {
        let nth = self.named;
        self.named += 1;
        if nth == 0 { self.source.to_string() } else { format!("{}.{nth}", self.source) }
    }

    fn push_event(&mut self, id: String, method: Method, namespace: &Namespace, name: Option<String>, body: Body) {
        self.last = number(self.source, self.count, self.last);
        self.count += 1;
        let (seq, namespace, timestamp) = (self.last, namespace.clone(), self.source.millis);
        self.events.push(ProtocolEvent { id, seq, method, namespace, timestamp, name, body });
    }
}
