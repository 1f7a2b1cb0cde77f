//! The log of one thread and its runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{Stream, stream};
use langopen_core::event_log::{Event, EventId, NewEvent, ReadFrom, late, run_done};
use langopen_core::{Error, Result, RunId, Timestamp};
use tokio::sync::mpsc;

/// How many bytes of events may wait for a reader. A slower reader loses its position.
const MAX_WAITING: usize = 32 * 1024 * 1024;

/// The cost of an event beside its data, so that many small events count too.
const OVERHEAD: usize = 64;

fn cost(event: &Event) -> usize {
    event.data.len() + OVERHEAD
}

fn millis(at: Timestamp) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(0)
}

/// A live reader of the thread, or of one of its runs.
struct Reader {
    run_id: Option<RunId>,
    events: mpsc::UnboundedSender<Result<Event>>,
    waiting: Arc<AtomicUsize>,
}

impl Reader {
    /// Sends an event to the reader if it reads the event's run. `false` if the reader is gone or too slow.
    fn push(&self, event: &Event) -> bool {
        if self.run_id.is_some() && self.run_id != event.run_id {
            return true;
        }
        if self.waiting.fetch_add(cost(event), Ordering::Relaxed) + cost(event) <= MAX_WAITING {
            return self.events.send(Ok(event.clone())).is_ok();
        }
        let message = "this reader was too slow and lost its position; read again after the last event that it got";
        // A reader that is gone needs no error.
        let _ = self.events.send(Err(Error::unavailable("event_log.read", message)));
        false
    }
}

/// What the log knows of a run, from its first event until some time after its end.
#[derive(Default)]
struct RunLog {
    /// The latest attempt that has appended.
    attempt: u32,
    resumable: bool,
    ended_at: Option<Timestamp>,
}

/// The log of a thread.
pub(crate) struct ThreadLog {
    /// The id of the last event, kept or not.
    pub(crate) last: EventId,
    runs: BTreeMap<RunId, RunLog>,
    kept: Vec<Event>,
    /// A reader's stream ends when its entry here is dropped.
    readers: Vec<Reader>,
}

impl ThreadLog {
    /// An empty log whose ids come after `last`.
    pub(crate) fn new(last: EventId) -> Self {
        Self { last, runs: BTreeMap::new(), kept: Vec::new(), readers: Vec::new() }
    }

    /// Appends the events of an attempt. Events after the end of the run's log are dropped.
    pub(crate) fn append(
        &mut self,
        run_id: RunId,
        attempt: u32,
        resumable: bool,
        events: Vec<NewEvent>,
        now: Timestamp,
    ) -> Result<()> {
        let run = self.runs.entry(run_id).or_default();
        if attempt < run.attempt {
            return Err(late(run_id, attempt));
        }
        run.attempt = attempt;
        run.resumable |= resumable;
        if run.ended_at.is_none() {
            let keep = run.resumable;
            self.add(Some(run_id), keep, events, now);
        }
        Ok(())
    }

    /// Appends events of a run, or of the thread itself. Every reader gets them, and the log keeps them if asked to.
    pub(crate) fn add(&mut self, run_id: Option<RunId>, keep: bool, events: Vec<NewEvent>, now: Timestamp) {
        for NewEvent { name, data } in events {
            self.last = self.last.next(millis(now));
            let event = Event { id: self.last, run_id, name, data };
            self.readers.retain(|reader| reader.push(&event));
            if keep {
                self.kept.push(event);
            }
        }
    }

    /// Ends the log of a run, once.
    pub(crate) fn end(&mut self, run_id: RunId, now: Timestamp) {
        let run = self.runs.entry(run_id).or_default();
        if run.ended_at.is_some() {
            return;
        }
        run.ended_at = Some(now);
        let keep = run.resumable;
        self.readers.retain(|reader| reader.run_id != Some(run_id));
        self.add(None, keep, vec![run_done(run_id)], now);
    }

    /// The kept events from a position on, and then the live ones. The caller holds the lock, so no event is lost or
    /// doubled in between. With a run's id, only the events of this run.
    pub(crate) fn read(
        &mut self,
        run_id: Option<RunId>,
        from: ReadFrom,
    ) -> (Vec<Event>, impl Stream<Item = Result<Event>> + use<>) {
        let after = match from {
            ReadFrom::Now => EventId::MAX,
            ReadFrom::After(seen) => seen,
        };
        let wanted = |event: &&Event| event.id > after && (run_id.is_none() || event.run_id == run_id);
        let kept = self.kept.iter().filter(wanted).cloned().collect();
        let (events, receiver) = mpsc::unbounded_channel();
        let waiting = Arc::<AtomicUsize>::default();
        // The sender of a log that has ended is dropped at once, and with it the live part of the stream ends.
        let run = run_id.and_then(|run_id| self.runs.get(&run_id));
        if run.is_none_or(|run| run.ended_at.is_none()) {
            self.readers.push(Reader { run_id, events, waiting: waiting.clone() });
        }
        let live = stream::unfold((receiver, waiting), |(mut receiver, waiting)| async move {
            let next = receiver.recv().await?;
            if let Ok(event) = &next {
                waiting.fetch_sub(cost(event), Ordering::Relaxed);
            }
            Some((next, (receiver, waiting)))
        });
        (kept, live)
    }

    /// Removes what is older than the retention. Returns how many logs of resumable runs it removed.
    pub(crate) fn sweep(&mut self, now: Timestamp, retention: Duration) -> u64 {
        let mut removed = 0;
        self.runs.retain(|_, run| {
            let is_over = run.ended_at.is_some_and(|ended_at| ended_at.plus(retention) <= now);
            removed += u64::from(is_over && run.resumable);
            !is_over
        });
        let oldest = millis(now).saturating_sub(u64::try_from(retention.as_millis()).unwrap_or(u64::MAX));
        self.kept.retain(|event| match event.run_id {
            Some(run_id) => self.runs.contains_key(&run_id),
            None => event.id.millis > oldest,
        });
        self.readers.retain(|reader| !reader.events.is_closed());
        removed
    }

    /// Whether nothing but the last id is left.
    pub(crate) fn is_idle(&self) -> bool {
        self.runs.is_empty() && self.kept.is_empty() && self.readers.is_empty()
    }
}
