//! The order of runs: which run of a thread is the next one.
//!
//! Every change of a thread's runs in flight calls [`State::promote`], so at most one run of a thread is ready or
//! running, and a claim only has to choose among the ready ones. `langopen_core::queue` states the rules.

use std::collections::BTreeSet;

use langopen_core::model::CancelRequest;
use langopen_core::queue::Losses;
use langopen_core::{RunId, Tenant, ThreadId, Timestamp};

use crate::state::State;

/// When a run may start, and its id. The runs of a thread start in the order of their places.
pub(crate) type Place = (Timestamp, RunId);

/// A run in flight.
pub(crate) struct Entry {
    pub(crate) tenant: Tenant,
    pub(crate) thread_id: ThreadId,
    pub(crate) starts_at: Timestamp,
    pub(crate) stage: Stage,
    pub(crate) cancel: Option<CancelRequest>,
    pub(crate) losses: Losses,
}

/// How far a run in flight is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its time has not come, or no call has noticed yet that it has.
    Delayed,
    /// Its time has come. It stays in line even if a clock is set back.
    InLine,
    /// It is the next run of its thread and waits for a worker.
    Ready,
    /// A worker executes it. Its lease expires at this moment of the steady clock.
    Running(Timestamp),
}

impl State {
    /// The runs in flight of a thread, with their places.
    pub(crate) fn entries_of(&self, thread_id: ThreadId) -> impl Iterator<Item = (Place, &Entry)> {
        let entries = self.line.iter().filter(move |(_, entry)| entry.thread_id == thread_id);
        entries.map(|(run_id, entry)| ((entry.starts_at, *run_id), entry))
    }

    /// Whether a run of the thread is in flight.
    pub(crate) fn is_busy(&self, thread_id: ThreadId) -> bool {
        self.entries_of(thread_id).next().is_some()
    }

    /// The place of the thread's last run that is in line, ready or running. A new run that is due comes after it.
    pub(crate) fn last_in_line(&self, thread_id: ThreadId) -> Option<Place> {
        self.entries_of(thread_id).filter(|(_, entry)| entry.stage != Stage::Delayed).map(|(place, _)| place).max()
    }

    /// Makes the thread's next run ready and returns it. Does nothing while a run of the thread is ready or running.
    pub(crate) fn promote(&mut self, thread_id: ThreadId, now: Timestamp) -> Option<RunId> {
        let is_next = |entry: &Entry| matches!(entry.stage, Stage::Ready | Stage::Running(_));
        if self.entries_of(thread_id).any(|(_, entry)| is_next(entry)) {
            return None;
        }
        let may_start = |entry: &Entry| entry.stage == Stage::InLine || entry.starts_at <= now;
        let startable = self.entries_of(thread_id).filter(|(_, entry)| may_start(entry));
        let (_, run_id) = startable.map(|(place, _)| place).min()?;
        self.line.get_mut(&run_id)?.stage = Stage::Ready;
        self.hints.runs.notify_one();
        Some(run_id)
    }

    /// Puts every due run in line, and makes the next runs of their threads ready.
    pub(crate) fn put_due_in_line(&mut self, now: Timestamp) {
        let mut threads = BTreeSet::new();
        for entry in self.line.values_mut().filter(|entry| entry.stage == Stage::Delayed && entry.starts_at <= now) {
            entry.stage = Stage::InLine;
            threads.insert(entry.thread_id);
        }
        for thread_id in threads {
            self.promote(thread_id, now);
        }
    }

    /// Takes a run out of flight. The caller must then promote the thread's next run.
    pub(crate) fn leave_line(&mut self, run_id: RunId) -> Option<Entry> {
        // If the deployment limits its running runs, a run of another thread may start now.
        self.hints.runs.notify_one();
        self.line.remove(&run_id)
    }
}
