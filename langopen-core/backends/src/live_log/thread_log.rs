//! The log of one thread, with those of its runs that are in flight.

use std::collections::HashMap;
use std::time::Duration;

use langopen_core::clock::Timestamp;
use langopen_core::event_log::{Event, EventId, NewEvent, run_done};
use langopen_core::ids::RunId;

use super::live::Reader;

/// The log of one run.
pub(super) struct RunLog {
    /// The run's last event; zero if it said nothing yet.
    pub(super) last: EventId,
    pub(super) resumable: bool,
    /// The latest attempt that said something.
    pub(super) attempt: u32,
    pub(super) ended_at: Option<Timestamp>,
    pub(super) readers: Vec<Reader>,
}

impl Default for RunLog {
    fn default() -> Self {
        Self { last: EventId::ZERO, resumable: false, attempt: 0, ended_at: None, readers: Vec::new() }
    }
}

/// The log of one thread.
pub(super) struct ThreadLog {
    pub(super) last: EventId,
    /// Whether events that have their places are on their way into a database: none may take places after them, and be
    /// told before them.
    pub(super) writing: bool,
    pub(super) runs: HashMap<RunId, RunLog>,
    /// Those who read the whole thread.
    pub(super) readers: Vec<Reader>,
    pub(super) kept: Vec<Event>,
}

pub(super) fn millis(now: Timestamp) -> u64 {
    u64::try_from(now.as_millis()).unwrap_or(0)
}

/// Gives events their places after `last`.
pub(crate) fn place(
    last: EventId,
    run_id: Option<RunId>,
    events: Vec<NewEvent>,
    now: Timestamp,
) -> impl Iterator<Item = Event> {
    events.into_iter().scan(last, move |last, new| {
        *last = last.next(millis(now));
        Some(Event { id: *last, run_id, name: new.name, data: new.data })
    })
}

impl ThreadLog {
    pub(super) fn new(last: EventId) -> Self {
        Self { last, writing: false, runs: HashMap::new(), readers: Vec::new(), kept: Vec::new() }
    }

    /// Lets an attempt of a run speak; `false` if a later one has spoken.
    pub(super) fn admits(&mut self, run_id: RunId, attempt: u32) -> bool {
        let run = self.runs.entry(run_id).or_default();
        let admitted = attempt >= run.attempt;
        run.attempt = run.attempt.max(attempt);
        admitted
    }

    /// Appends what a run says. What comes after the end of its log is dropped.
    pub(super) fn append(&mut self, keep: bool, run_id: RunId, resumable: bool, events: Vec<NewEvent>, now: Timestamp) {
        let run = self.runs.entry(run_id).or_default();
        if run.ended_at.is_some() {
            return;
        }
        run.resumable |= resumable;
        if (keep && run.resumable) || !run.readers.is_empty() || !self.readers.is_empty() {
            let events = place(self.last, Some(run_id), events, now).collect();
            self.deliver(keep, run_id, events);
        } else {
            // Nobody reads and nothing is kept: only the ids move on.
            self.last = (0..events.len()).fold(self.last, |last, _| last.next(millis(now)));
            run.last = self.last;
        }
    }

    /// Delivers what a run says, which has its places already.
    pub(super) fn deliver(&mut self, keep: bool, run_id: RunId, events: Vec<Event>) {
        let run = self.runs.entry(run_id).or_default();
        if run.ended_at.is_some() {
            return;
        }
        self.last = events.last().map_or(self.last, |event| event.id);
        run.last = self.last;
        run.readers.retain(|reader| reader.push(&events));
        self.readers.retain(|reader| reader.push(&events));
        if keep && run.resumable {
            self.kept.extend(events);
        }
    }

    /// Delivers what is said of the thread itself.
    pub(super) fn tell(&mut self, keep: bool, events: Vec<Event>) {
        self.last = events.last().map_or(self.last, |event| event.id);
        self.readers.retain(|reader| reader.push(&events));
        if keep {
            self.kept.extend(events);
        }
    }

    /// Ends the log of a run. One that kept something stays, for later readers.
    pub(super) fn end(&mut self, keep: bool, run_id: RunId, now: Timestamp) {
        let kept = match self.runs.get_mut(&run_id) {
            Some(run) if run.ended_at.is_some() => return,
            Some(run) if keep && run.resumable => {
                run.ended_at = Some(now);
                // A reader's stream ends when its sender is gone.
                run.readers = Vec::new();
                true
            }
            _ => {
                self.runs.remove(&run_id);
                false
            }
        };
        if kept || !self.readers.is_empty() {
            let done = place(self.last, None, vec![run_done(run_id)], now).collect();
            self.tell(kept, done);
        }
    }

    /// What is kept after an event.
    pub(super) fn kept_after(&self, seen: EventId) -> impl Iterator<Item = &Event> {
        self.kept[self.kept.partition_point(|event| event.id <= seen)..].iter()
    }

    /// Whether there is nothing to remember but the last id.
    pub(super) fn is_idle(&self) -> bool {
        self.runs.is_empty() && self.readers.is_empty() && self.kept.is_empty() && !self.writing
    }

    /// Removes ended logs that are older than `retention`, what the thread said before that, and logs that seem to be
    /// abandoned; tells how many ended ones those were.
    pub(super) fn sweep(&mut self, keep: bool, now: Timestamp, retention: Duration, forgotten_after: Duration) -> u64 {
        let before = |time: Duration| millis(now).saturating_sub(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        let (old, abandoned) = (before(retention), before(forgotten_after));
        let mut removed = 0;
        self.runs.retain(|_, run| {
            let over = run.ended_at.is_some_and(|ended_at| ended_at.plus(retention) <= now);
            removed += u64::from(over);
            let idle = !(keep && run.resumable) && run.readers.is_empty() && run.last.millis < abandoned;
            !over && !idle
        });
        let runs = &self.runs;
        self.kept.retain(|event| match event.run_id {
            Some(run_id) => runs.contains_key(&run_id),
            None => event.id.millis > old,
        });
        removed
    }
}
