//! Where translated events get their ids and numbers.

use langopen_core::RunId;
use langopen_core::event_log::EventId;
use serde_json::{Value, json};

use super::event::{Body, Method, Namespace, ProtocolEvent};
use super::place::number;
use super::tree::Status;

/// Takes the events that the events of the log become.
#[derive(Debug, Default)]
pub(super) struct Out {
    pub(super) events: Vec<ProtocolEvent>,
    /// The number of the last event.
    pub(super) last: u64,
    source: EventId,
    /// How many events the one at `source` has become, and how many of them are named after it.
    count: u64,
    named: u64,
}

impl Out {
    /// What is pushed from now on comes from the event of the log at `source`, after the event with the number `last`.
    pub(super) fn begin(&mut self, source: EventId, last: u64) {
        (self.source, self.last, self.count, self.named) = (source, last, 0, 0);
    }

    /// What is pushed from now on has no event of the log, and comes after the event with the number `last`.
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

    /// An event with an id of its own.
    pub(super) fn push_as(&mut self, id: String, method: Method, namespace: &Namespace, body: Body) {
        self.push_event(id, method, namespace, None, body);
    }

    /// How a run's root graph fares.
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
