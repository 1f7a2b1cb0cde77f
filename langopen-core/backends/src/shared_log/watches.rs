//! The threads that are read in this process, and their readers.
//!
//! Records come as copies from other processes, from this process's own appends, or from the store. Each names the
//! position before it, so a watch sees whether a record is missing. An early record waits, and the thread becomes
//! doubtful: it is looked up in the store.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Weak};

use langopen_core::error::Error;
use langopen_core::event_log::EventId;
use langopen_core::ids::{RunId, ThreadId};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::batch::{Kind, Record};
use crate::live_log::{Home, LiveEvents, Reader};

/// How many early records of a thread wait, and up to how many bytes. The process fetches further ones again.
const EARLY: usize = 256;
const EARLY_BYTES: usize = 8 * 1024 * 1024;

struct Watcher {
    /// `None` for a reader of the whole thread.
    run_id: Option<RunId>,
    reader: Reader,
}

/// A thread that is read here.
#[derive(Default)]
struct Watch {
    /// The position of the last record that was handed out; `None` until the store has said where to begin.
    seen: Option<EventId>,
    /// The position after which the first record was handed out.
    begins: Option<EventId>,
    readers: Vec<Watcher>,
    /// Early records, by the position before them.
    early: BTreeMap<EventId, Record>,
}

#[derive(Default)]
struct State {
    threads: HashMap<ThreadId, Watch>,
    /// The threads to look up.
    doubtful: HashSet<ThreadId>,
}

/// The threads that are read in this process.
pub(crate) struct Watches {
    state: Mutex<State>,
    /// Rings when a thread becomes doubtful.
    pub(crate) doubts: Notify,
    left: Box<dyn Fn(ThreadId) + Send + Sync>,
}

fn lost() -> Error {
    let message = "events that this reader has not had are no longer there; read again after the last event it got";
    Error::unavailable("event_log.read", message)
}

impl Watch {
    /// Hands a record out if it is the next one; `false` if a record before it is missing.
    fn take(&mut self, record: Record) -> bool {
        let Some(seen) = self.seen else {
            self.keep_early(record);
            return true;
        };
        if record.last <= seen {
            return true;
        }
        if record.before > seen {
            self.keep_early(record);
            return false;
        }
        self.hand_out(record);
        self.take_early();
        self.early.is_empty()
    }

    fn keep_early(&mut self, record: Record) {
        let bytes: usize = self.early.values().map(Record::size).sum();
        // The first one waits whatever its size, since only a watch with early records is doubtful.
        if self.early.is_empty() || (self.early.len() < EARLY && bytes + record.size() <= EARLY_BYTES) {
            self.early.insert(record.before, record);
        }
    }

    fn take_early(&mut self) {
        while let Some(entry) = self.early.first_entry() {
            let seen = self.seen.unwrap_or(EventId::ZERO);
            if *entry.key() > seen {
                return;
            }
            let record = entry.remove();
            if record.last > seen {
                self.hand_out(record);
            }
        }
    }

    fn hand_out(&mut self, record: Record) {
        let seen = self.seen.replace(record.last).unwrap_or(EventId::ZERO);
        if record.kind == Kind::Removed {
            // A reader's stream ends when its sender is gone.
            self.readers.clear();
            return;
        }
        let events = match record.events() {
            Ok(events) => events,
            Err(error) => return self.fail(|| Error::internal("event_log.read", error.message())),
        };
        let new = || events.iter().filter(|event| event.id > seen);
        self.readers.retain(|place| match (place.run_id, record.kind) {
            (None, _) => place.reader.push(new()),
            (Some(run_id), Kind::Run(of)) if run_id == of => place.reader.push(new()),
            (Some(run_id), Kind::End(of)) => run_id != of,
            _ => true,
        });
    }

    fn fail(&mut self, error: impl Fn() -> Error) {
        self.readers.drain(..).for_each(|place| place.reader.fail(error()));
    }
}

impl Watches {
    /// Calls `left` with each thread whose last reader has gone.
    pub(crate) fn new(left: impl Fn(ThreadId) + Send + Sync + 'static) -> Self {
        Self { state: Mutex::default(), doubts: Notify::new(), left: Box::new(left) }
    }

    /// Adds a reader. It gets every record that is handed out from now on. The second result says whether the watch
    /// knows where to begin.
    pub(crate) fn enter(self: &Arc<Self>, thread_id: ThreadId, run_id: Option<RunId>) -> (LiveEvents, bool) {
        let home: Weak<Self> = Arc::downgrade(self);
        let (reader, live) = LiveEvents::new(home, thread_id, run_id);
        let mut state = self.state.lock();
        let watch = state.threads.entry(thread_id).or_default();
        watch.readers.push(Watcher { run_id, reader });
        (live, watch.seen.is_some())
    }

    /// Sets where a watch begins, unless it has begun; returns the position after which records are handed out.
    pub(crate) fn begin(&self, thread_id: ThreadId, last: EventId) -> EventId {
        let mut state = self.state.lock();
        let Some(watch) = state.threads.get_mut(&thread_id) else { return last };
        if watch.begins.is_none() {
            watch.begins = Some(last);
            watch.seen = Some(last);
            watch.take_early();
            if !watch.early.is_empty() {
                self.doubt(&mut state, thread_id);
            }
            return last;
        }
        watch.begins.unwrap_or(last)
    }

    /// Takes a record that this process appended, or the copy of one from another process.
    pub(crate) fn take(&self, thread_id: ThreadId, record: Record) {
        let mut state = self.state.lock();
        let Some(watch) = state.threads.get_mut(&thread_id) else { return };
        if !watch.take(record) {
            self.doubt(&mut state, thread_id);
        }
    }

    /// Takes records from the store that follow the position `after`. If one between them is gone, the readers get an
    /// error.
    pub(crate) fn take_fetched(&self, thread_id: ThreadId, after: EventId, records: Vec<Record>) {
        let mut state = self.state.lock();
        let Some(watch) = state.threads.get_mut(&thread_id) else { return };
        let mut place = after;
        for record in records {
            // Records that were handed out meanwhile left no gap.
            if record.before > place && watch.seen.is_some_and(|seen| seen < record.before) {
                watch.fail(lost);
                watch.seen = Some(record.before);
            }
            place = record.last;
            watch.take(record);
        }
    }

    /// Gives up the records up to `last`, which are no longer in the store.
    pub(crate) fn skip(&self, thread_id: ThreadId, last: EventId) {
        let mut state = self.state.lock();
        let Some(watch) = state.threads.get_mut(&thread_id) else { return };
        if watch.seen.is_some_and(|seen| seen < last) {
            watch.fail(lost);
            watch.seen = Some(last);
            watch.take_early();
        }
    }

    /// Goes back to a lower position after a crash of the store has lost records, unless a record came meanwhile. The
    /// readers get an error.
    pub(crate) fn rewind(&self, thread_id: ThreadId, seen: EventId, last: EventId) {
        let mut state = self.state.lock();
        let Some(watch) = state.threads.get_mut(&thread_id) else { return };
        if watch.seen == Some(seen) {
            watch.fail(lost);
            watch.seen = Some(last);
        }
    }

    /// Gives every reader an error, because it may have missed records that are no longer there.
    pub(crate) fn fail_all(&self) {
        self.state.lock().threads.values_mut().for_each(|watch| watch.fail(lost));
    }

    /// The position of the last record of a thread that was handed out.
    pub(crate) fn seen(&self, thread_id: ThreadId) -> Option<EventId> {
        self.state.lock().threads.get(&thread_id)?.seen
    }

    /// Makes a thread doubtful.
    pub(crate) fn look(&self, thread_id: ThreadId) {
        let mut state = self.state.lock();
        if state.threads.contains_key(&thread_id) {
            self.doubt(&mut state, thread_id);
        }
    }

    /// Makes the threads of one part of so many doubtful.
    pub(crate) fn look_at(&self, part: usize, parts: usize) {
        let State { threads, doubtful } = &mut *self.state.lock();
        let is_part = |thread_id: &&ThreadId| thread_id.0.as_u128() % parts as u128 == part as u128;
        doubtful.extend(threads.keys().filter(is_part));
    }

    /// Makes every thread doubtful.
    pub(crate) fn look_everywhere(&self) {
        let mut state = self.state.lock();
        let all: Vec<_> = state.threads.keys().copied().collect();
        state.doubtful.extend(all);
        self.doubts.notify_one();
    }

    /// Takes the doubtful threads that have begun, each with the position of its last record that was handed out.
    pub(crate) fn doubtful(&self) -> Vec<(ThreadId, EventId)> {
        let mut state = self.state.lock();
        let doubtful = std::mem::take(&mut state.doubtful);
        let seen = |thread_id| Some((thread_id, state.threads.get(&thread_id)?.seen?));
        doubtful.into_iter().filter_map(seen).collect()
    }

    fn doubt(&self, state: &mut State, thread_id: ThreadId) {
        state.doubtful.insert(thread_id);
        self.doubts.notify_one();
    }
}

impl Home for Watches {
    fn reader_left(&self, thread_id: ThreadId, _: Option<RunId>) {
        let mut state = self.state.lock();
        let Some(watch) = state.threads.get_mut(&thread_id) else { return };
        watch.readers.retain(|place| !place.reader.is_gone());
        if watch.readers.is_empty() {
            state.threads.remove(&thread_id);
            // Under the lock, so that the call cannot overtake a reader that comes just now.
            (self.left)(thread_id);
        }
    }
}
