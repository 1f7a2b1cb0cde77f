//! The clients' requests and observations.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;

use super::SseEvent;

/// How a client requested a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Kind {
    Create,
    Wait,
    Stream,
    /// On a temporary thread, which the platform deletes with the run.
    Stateless,
}

/// The effect of a run on other runs of its thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Strategy {
    Enqueue,
    Interrupt,
    Rollback,
    Reject,
}

impl Strategy {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Enqueue => "enqueue",
            Self::Interrupt => "interrupt",
            Self::Rollback => "rollback",
            Self::Reject => "reject",
        }
    }
}

/// A run that a client requested, in the order of the client's requests.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Entry {
    /// The number of the run in the whole history.
    pub(crate) number: usize,
    pub(crate) client: usize,
    pub(crate) kind: Kind,
    pub(crate) strategy: Strategy,
    pub(crate) thread_id: String,
    pub(crate) steps: u64,
    /// Whether a webhook reports the run's end.
    pub(crate) hooked: bool,
    /// The run's id, once the server has sent it: the run is accepted then.
    pub(crate) run_id: Option<String>,
    /// The HTTP status of a refusal.
    pub(crate) refused: Option<u16>,
    /// The kind of cancel that the client requested, if any.
    pub(crate) cancelled: Option<&'static str>,
    /// Whether the server accepted the cancel.
    pub(crate) cancel_accepted: bool,
    /// Every status that the client saw, in order.
    pub(crate) statuses: Vec<String>,
    /// The answer of `wait` or `join`.
    pub(crate) answer: Option<Value>,
    /// The events of the stream, over all connections.
    pub(crate) events: Vec<SseEvent>,
    /// How often the client rejoined the stream.
    pub(crate) rejoined: u32,
    /// The events that a new reader received from the beginning, after the run's end.
    pub(crate) replay: Option<Vec<SseEvent>>,
}

/// The requests and observations of all clients.
#[derive(Debug, Clone, Default)]
pub(crate) struct History(Arc<Mutex<Vec<Entry>>>);

impl History {
    pub(crate) fn add(&self, entry: impl FnOnce(usize) -> Entry) -> usize {
        let mut entries = self.0.lock();
        let number = entries.len();
        entries.push(entry(number));
        number
    }

    pub(crate) fn change(&self, number: usize, change: impl FnOnce(&mut Entry)) {
        change(&mut self.0.lock()[number]);
    }

    pub(crate) fn get<T>(&self, number: usize, read: impl FnOnce(&Entry) -> T) -> T {
        read(&self.0.lock()[number])
    }

    /// The accepted runs on a thread.
    pub(crate) fn on_thread(&self, thread_id: &str) -> Vec<(usize, String)> {
        let entries = self.0.lock();
        let here = entries.iter().filter(|entry| entry.thread_id == thread_id);
        here.filter_map(|entry| Some((entry.number, entry.run_id.clone()?))).collect()
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.0.lock().clone()
    }
}
