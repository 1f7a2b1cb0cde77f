//! What clients asked for, and what they saw.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;

use super::SseEvent;

/// How a run was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Kind {
    Create,
    Wait,
    Stream,
    /// On a thread of its own, which goes with it.
    Stateless,
}

/// What a run does to others on its thread.
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

/// A run that a client asked for, in the order in which the client asked.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Entry {
    /// Which of all it is.
    pub(crate) number: usize,
    pub(crate) client: usize,
    pub(crate) kind: Kind,
    pub(crate) strategy: Strategy,
    pub(crate) thread_id: String,
    pub(crate) steps: u64,
    /// Whether its end is to be told.
    pub(crate) hooked: bool,
    /// Its id, once the server has told it: then the run is accepted.
    pub(crate) run_id: Option<String>,
    /// The HTTP status, if it was refused.
    pub(crate) refused: Option<u16>,
    /// Whether a cancel was asked for, and which.
    pub(crate) cancelled: Option<&'static str>,
    /// Whether the server answered that the cancel is under way.
    pub(crate) cancel_accepted: bool,
    /// Every status that was seen, in order.
    pub(crate) statuses: Vec<String>,
    /// What `wait` or `join` answered.
    pub(crate) answer: Option<Value>,
    /// What the stream showed, over all connections.
    pub(crate) events: Vec<SseEvent>,
    /// How often it was gone back to.
    pub(crate) rejoined: u32,
    /// What a new reader saw of it from the beginning, once it was over.
    pub(crate) replay: Option<Vec<SseEvent>>,
}

/// What all clients asked for and saw.
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
