//! The logs of all threads of a process: ids, live readers, and, if wanted, what is kept.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use langopen_core::clock::Timestamp;
use langopen_core::event_log::{Event, EventId, LogKey, NewEvent, ReadFrom};
use langopen_core::ids::{RunId, ThreadId};
use parking_lot::Mutex;

use super::live::{Home, LiveEvents};
use super::thread_log::{ThreadLog, place};

/// How long a run's log is remembered to which nothing is appended, that nobody reads, and that was never ended.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);

struct Logs {
    threads: HashMap<ThreadId, ThreadLog>,
    /// No log that was forgotten went beyond this id, and new ones begin after it: so ids rise in a thread whose log is
    /// forgotten between its runs.
    floor: EventId,
}

impl Logs {
    fn thread(&mut self, thread_id: ThreadId) -> &mut ThreadLog {
        self.threads.entry(thread_id).or_insert_with(|| ThreadLog::new(self.floor))
    }

    /// Forgets a thread's log if nothing is in it.
    fn forget(&mut self, thread_id: ThreadId) {
        if self.threads.get(&thread_id).is_some_and(ThreadLog::is_idle) {
            self.remove(thread_id);
        }
    }

    fn remove(&mut self, thread_id: ThreadId) {
        if let Some(log) = self.threads.remove(&thread_id) {
            self.floor = self.floor.max(log.last);
        }
    }
}

/// Why nothing was appended.
pub(crate) enum Refused {
    /// It is another write's turn; these are the events.
    NotItsTurn(
        #[cfg_attr(not(feature = "sqlite"), expect(dead_code, reason = "in memory no write takes turns"))]
        Vec<NewEvent>,
    ),
    /// A later attempt has spoken.
    Late,
}

/// The logs of all threads of a process. With `keep`, it keeps what resumable runs said; otherwise it only delivers.
pub(crate) struct Hub {
    keep: bool,
    logs: Mutex<Logs>,
}

impl Hub {
    pub(crate) fn new(keep: bool) -> Self {
        Self { keep, logs: Mutex::new(Logs { threads: HashMap::new(), floor: EventId::ZERO }) }
    }

    /// Appends what a run says. Those that come after the end of a log are dropped.
    pub(crate) fn append(
        &self,
        log: LogKey,
        attempt: u32,
        resumable: bool,
        events: Vec<NewEvent>,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let mut logs = self.logs.lock();
        let thread = logs.thread(log.thread_id);
        if thread.writing {
            return Err(Refused::NotItsTurn(events));
        }
        if !thread.admits(log.run_id, attempt) {
            return Err(Refused::Late);
        }
        thread.append(self.keep, log.run_id, resumable, events, now);
        Ok(())
    }

    /// Appends what is said of a thread, if someone reads it or it is kept.
    pub(crate) fn append_to_thread(&self, thread_id: ThreadId, events: Vec<NewEvent>, now: Timestamp) {
        let mut logs = self.logs.lock();
        let thread = logs.thread(thread_id);
        let events = place(thread.last, None, events, now).collect();
        thread.tell(self.keep, events);
        logs.forget(thread_id);
    }

    /// Ends a run's log; `false` if it is another write's turn.
    pub(crate) fn end(&self, log: LogKey, now: Timestamp) -> bool {
        let mut logs = self.logs.lock();
        let thread = logs.thread(log.thread_id);
        if thread.writing {
            return false;
        }
        thread.end(self.keep, log.run_id, now);
        logs.forget(log.thread_id);
        true
    }

    fn home(self: &Arc<Self>) -> Weak<dyn Home> {
        let home: Weak<Self> = Arc::downgrade(self);
        home
    }

    /// Takes a reader's place: what is kept of the run from there on, and what will come.
    pub(crate) fn subscribe(self: &Arc<Self>, log: LogKey, from: ReadFrom) -> (Vec<Event>, LiveEvents) {
        let (reader, live) = LiveEvents::new(self.home(), log.thread_id, Some(log.run_id));
        let mut logs = self.logs.lock();
        let thread = logs.thread(log.thread_id);
        let kept = match from {
            ReadFrom::Now => Vec::new(),
            ReadFrom::After(seen) => {
                thread.kept_after(seen).filter(|event| event.run_id == Some(log.run_id)).cloned().collect()
            }
        };
        let run = thread.runs.entry(log.run_id).or_default();
        if run.ended_at.is_none() {
            run.readers.push(reader);
        }
        (kept, live)
    }

    /// Takes a place among those who read the whole thread: what is kept from there on, the last id up to now, and what
    /// will come, all of it after that id. The thread's ids go on after `least`.
    pub(crate) fn subscribe_thread(
        self: &Arc<Self>,
        thread_id: ThreadId,
        from: ReadFrom,
        least: EventId,
    ) -> (Vec<Event>, EventId, LiveEvents) {
        let (reader, live) = LiveEvents::new(self.home(), thread_id, None);
        let mut logs = self.logs.lock();
        let thread = logs.thread(thread_id);
        thread.last = thread.last.max(least);
        let kept = match from {
            ReadFrom::Now => Vec::new(),
            ReadFrom::After(seen) => thread.kept_after(seen).cloned().collect(),
        };
        thread.readers.push(reader);
        (kept, thread.last, live)
    }

    /// Removes the logs of threads, and ends all their readers.
    pub(crate) fn remove_threads(&self, threads: &[ThreadId]) {
        let mut logs = self.logs.lock();
        threads.iter().for_each(|thread_id| logs.remove(*thread_id));
    }

    /// Removes what has served its time, and returns how many ended logs of runs that were.
    pub(crate) fn sweep(&self, now: Timestamp, retention: Duration) -> u64 {
        let mut logs = self.logs.lock();
        let mut removed = 0;
        let mut idle = Vec::new();
        for (thread_id, thread) in &mut logs.threads {
            removed += thread.sweep(self.keep, now, retention, FORGOTTEN_AFTER);
            if thread.is_idle() {
                idle.push(*thread_id);
            }
        }
        idle.into_iter().for_each(|thread_id| logs.remove(thread_id));
        removed
    }
}

impl Home for Hub {
    /// A log that only a reader waited for goes with its last reader.
    fn reader_left(&self, thread_id: ThreadId, run_id: Option<RunId>) {
        let mut logs = self.logs.lock();
        let Some(thread) = logs.threads.get_mut(&thread_id) else { return };
        match run_id {
            None => thread.readers.retain(|reader| !reader.is_gone()),
            Some(run_id) => {
                let Some(run) = thread.runs.get_mut(&run_id) else { return };
                run.readers.retain(|reader| !reader.is_gone());
                if run.readers.is_empty() && run.last == EventId::ZERO {
                    thread.runs.remove(&run_id);
                }
            }
        }
        logs.forget(thread_id);
    }
}

/// For a backend that keeps events elsewhere: events get their places, go into a database, and are told when they are
/// there. What it is in the middle of writing has its turn, which nothing else of the thread may pass.
#[cfg(feature = "sqlite")]
impl Hub {
    /// Begins a write of a thread's events: returns the id that they come after, which is at least `least`. The caller
    /// holds the thread's turn.
    pub(crate) fn begin_write(self: &Arc<Self>, thread_id: ThreadId, least: EventId) -> Writing {
        let mut logs = self.logs.lock();
        let thread = logs.thread(thread_id);
        thread.writing = true;
        thread.last = thread.last.max(least);
        Writing { hub: Arc::clone(self), thread_id, last: thread.last }
    }

    /// Lets an attempt of a run speak; `false` if a later one has spoken. The caller holds the thread's turn.
    pub(crate) fn admits(&self, log: LogKey, attempt: u32) -> bool {
        self.logs.lock().thread(log.thread_id).admits(log.run_id, attempt)
    }

    /// Ends the readers of a run, whose log the caller ends.
    pub(crate) fn end_readers(&self, log: LogKey) {
        let mut logs = self.logs.lock();
        if let Some(thread) = logs.threads.get_mut(&log.thread_id) {
            thread.runs.remove(&log.run_id);
        }
        logs.forget(log.thread_id);
    }

    /// Whether the run has said something, and then whether it is resumable.
    pub(crate) fn resumable(&self, log: LogKey) -> Option<bool> {
        let logs = self.logs.lock();
        let run = logs.threads.get(&log.thread_id)?.runs.get(&log.run_id)?;
        (run.last > EventId::ZERO).then_some(run.resumable)
    }
}

/// A write of a thread's events that is under way, until it is dropped.
#[cfg(feature = "sqlite")]
pub(crate) struct Writing {
    hub: Arc<Hub>,
    thread_id: ThreadId,
    /// The id that the events come after.
    pub(crate) last: EventId,
}

#[cfg(feature = "sqlite")]
impl Writing {
    /// Tells what a run said.
    pub(crate) fn publish(&self, run_id: RunId, events: Vec<Event>) {
        let mut logs = self.hub.logs.lock();
        let thread = logs.thread(self.thread_id);
        thread.runs.entry(run_id).or_default().resumable = true;
        thread.deliver(self.hub.keep, run_id, events);
    }

    /// Tells what was said of the thread.
    pub(crate) fn tell(&self, events: Vec<Event>) {
        self.hub.logs.lock().thread(self.thread_id).tell(self.hub.keep, events);
    }
}

#[cfg(feature = "sqlite")]
impl Drop for Writing {
    fn drop(&mut self) {
        let mut logs = self.hub.logs.lock();
        if let Some(thread) = logs.threads.get_mut(&self.thread_id) {
            thread.writing = false;
        }
        logs.forget(self.thread_id);
    }
}
