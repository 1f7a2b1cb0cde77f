//! The logs of the runs that are in flight: ids, live readers, and, if wanted, what resumable runs said.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::live::{LiveEvents, Reader};
use crate::clock::Timestamp;
use crate::event_log::{Event, EventId, NewEvent, ReadFrom};
use crate::ids::RunId;

/// How long a log is remembered to which nothing is appended, that nobody reads, and that was never ended.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);

struct Log {
    last: EventId,
    resumable: bool,
    ended_at: Option<Timestamp>,
    kept: Vec<Event>,
    readers: Vec<Reader>,
}

impl Default for Log {
    fn default() -> Self {
        Self { last: EventId::ZERO, resumable: false, ended_at: None, kept: Vec::new(), readers: Vec::new() }
    }
}

/// All logs of a process. With `keep`, it keeps what resumable runs said; otherwise it only delivers.
pub(crate) struct Hub {
    keep: bool,
    logs: Mutex<HashMap<RunId, Log>>,
}

fn millis(now: Timestamp) -> u64 {
    u64::try_from(now.as_millis()).unwrap_or(0)
}

/// Gives events their places after `last`.
pub(crate) fn place(last: EventId, events: Vec<NewEvent>, now: Timestamp) -> impl Iterator<Item = Event> {
    events.into_iter().scan(last, move |last, new| {
        *last = last.next(millis(now));
        Some(Event { id: *last, name: new.name, data: new.data })
    })
}

impl Hub {
    pub(crate) fn new(keep: bool) -> Self {
        Self { keep, logs: Mutex::default() }
    }

    /// Appends events. Those that come after the end of a log are dropped.
    pub(crate) fn append(&self, run_id: RunId, resumable: bool, events: Vec<NewEvent>, now: Timestamp) {
        let mut logs = self.logs.lock();
        let log = logs.entry(run_id).or_default();
        log.resumable |= resumable;
        if (self.keep && log.resumable) || !log.readers.is_empty() {
            let events = place(log.last, events, now).collect();
            self.deliver(log, events);
        } else if log.ended_at.is_none() {
            // Nobody reads and nothing is kept: only the ids move on.
            log.last = (0..events.len()).fold(log.last, |last, _| last.next(millis(now)));
        }
    }

    /// Delivers events that have their places already.
    #[cfg(feature = "sqlite")]
    pub(crate) fn publish(&self, run_id: RunId, resumable: bool, events: Vec<Event>) {
        let mut logs = self.logs.lock();
        let log = logs.entry(run_id).or_default();
        log.resumable |= resumable;
        self.deliver(log, events);
    }

    fn deliver(&self, log: &mut Log, events: Vec<Event>) {
        if log.ended_at.is_some() {
            return;
        }
        log.last = events.last().map_or(log.last, |event| event.id);
        log.readers.retain(|reader| reader.push(&events));
        if self.keep && log.resumable {
            log.kept.extend(events);
        }
    }

    /// Ends a log; one that kept something stays, for later readers.
    pub(crate) fn end(&self, run_id: RunId, now: Timestamp) {
        let mut logs = self.logs.lock();
        let Some(log) = logs.get_mut(&run_id) else { return };
        // A reader's stream ends when its sender is gone.
        log.readers = Vec::new();
        if self.keep && log.resumable {
            log.ended_at.get_or_insert(now);
        } else {
            logs.remove(&run_id);
        }
    }

    /// Takes a reader's place: what is kept of the log from there on, and what will come.
    pub(crate) fn subscribe(self: &Arc<Self>, run_id: RunId, from: ReadFrom) -> (Vec<Event>, LiveEvents) {
        let (reader, live) = LiveEvents::new(Arc::downgrade(self), run_id);
        let mut logs = self.logs.lock();
        let log = logs.entry(run_id).or_default();
        let kept = match from {
            ReadFrom::Now => Vec::new(),
            ReadFrom::After(seen) => log.kept[log.kept.partition_point(|event| event.id <= seen)..].to_vec(),
        };
        if log.ended_at.is_none() {
            log.readers.push(reader);
        }
        (kept, live)
    }

    /// Whether the run's log is known, and then whether it is resumable.
    #[cfg(feature = "sqlite")]
    pub(crate) fn resumable(&self, run_id: RunId) -> Option<bool> {
        self.logs.lock().get(&run_id).filter(|log| log.last > EventId::ZERO).map(|log| log.resumable)
    }

    /// A log that only a reader waited for goes with its last reader.
    pub(super) fn reader_left(&self, run_id: RunId) {
        let mut logs = self.logs.lock();
        if let Some(log) = logs.get_mut(&run_id) {
            log.readers.retain(|reader| !reader.is_gone());
            if log.readers.is_empty() && log.last == EventId::ZERO {
                logs.remove(&run_id);
            }
        }
    }

    /// Removes ended logs that are older than `retention`, and returns how many; also forgets logs that seem to be abandoned.
    pub(crate) fn sweep(&self, now: Timestamp, retention: Duration) -> u64 {
        let mut removed = 0;
        let abandoned_before =
            millis(now).saturating_sub(u64::try_from(FORGOTTEN_AFTER.as_millis()).unwrap_or(u64::MAX));
        self.logs.lock().retain(|_, log| {
            let over = log.ended_at.is_some_and(|ended_at| ended_at.plus(retention) <= now);
            removed += u64::from(over);
            let idle = log.kept.is_empty() && log.readers.is_empty() && log.last.millis < abandoned_before;
            !over && !idle
        });
        removed
    }
}
