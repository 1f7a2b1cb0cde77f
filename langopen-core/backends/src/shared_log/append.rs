//! Appending: the algorithm of [`langopen_core::event_log`], for a store that many processes append to.
//!
//! The process proposes a record for a position. The store takes it only if the thread's last position is the one that
//! the proposal expects, and otherwise describes the thread. The process then proposes again. So a proposal can be
//! repeated without harm: at most one of its copies finds what it expects.

use bytes::Bytes;
use langopen_core::clock::Timestamp;
use langopen_core::error::Result;
use langopen_core::event_log::{EventId, late};
use langopen_core::ids::{RunId, ThreadId};
use uuid::Uuid;

use super::batch::Kind;

/// A position of this process is at least this old, in milliseconds, before a store may have forgotten the thread.
const FORGOTTEN_AFTER: u64 = 1_800_000;

/// Milliseconds since the Unix epoch, for a position.
pub(crate) fn millis(now: Timestamp) -> u64 {
    u64::try_from(now.as_millis()).unwrap_or(0)
}

/// The arguments of one append call.
#[derive(Debug, Clone)]
pub(super) struct Append {
    pub(super) thread_id: ThreadId,
    pub(super) kind: Kind,
    /// The run's attempt; 0 for a record that is not a run's.
    pub(super) attempt: u32,
    pub(super) resumable: bool,
    pub(super) mark: Uuid,
    /// The number of positions that the record takes.
    pub(super) count: u64,
    pub(super) bytes: Bytes,
}

/// A record that the store is to take if the thread's last position is `expected`.
#[derive(Debug, Clone)]
pub(crate) struct Proposal {
    pub(crate) thread_id: ThreadId,
    pub(crate) kind: Kind,
    pub(crate) attempt: u32,
    /// Whether the record is kept for replay.
    pub(crate) keep: bool,
    /// Whether it is the first kept record of its run.
    pub(crate) begins: bool,
    /// Identifies the append call, in every proposal that it makes.
    pub(crate) mark: Uuid,
    pub(crate) expected: EventId,
    /// The position that the record names as its predecessor. It differs from `expected` only if the store has lost
    /// records in a crash: readers then see the gap.
    pub(crate) before: EventId,
    pub(crate) last: EventId,
    pub(crate) bytes: Bytes,
}

/// The store's answer to a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The record is in the log.
    Taken,
    /// The record is not kept and nobody reads the thread, so it was not written.
    Unwanted,
    /// The thread's last position is another one.
    Refused(ThreadState),
}

/// A thread as the store knows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ThreadState {
    /// The last position; zero for a thread that the store does not know.
    pub(crate) last: EventId,
    /// The run whose events came last, and its attempt.
    pub(crate) speaker: Option<(RunId, u32)>,
    /// The latest attempt of the proposal's run that a worker has claimed.
    pub(crate) attempt: u32,
    /// Whether the log of the proposal's run is kept.
    pub(crate) kept: bool,
    /// Whether the log of the proposal's run has ended.
    pub(crate) ended: bool,
    /// Whether an earlier copy of the proposal was taken.
    pub(crate) done: bool,
}

/// The end of a thread's log, as far as this process knows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tail {
    /// The last position in the store; zero if this process does not know the thread.
    last: EventId,
    /// The highest position that this process has given or learned.
    highest: EventId,
    speaker: Option<(RunId, u32)>,
    run: Option<KnownRun>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct KnownRun {
    run_id: RunId,
    attempt: u32,
    kept: bool,
    ended: bool,
}

impl Tail {
    /// Proposes the next record; `None` if the run's log has ended.
    ///
    /// # Errors
    /// `LeaseLost` if a later attempt of the run has appended.
    pub(super) fn propose(&self, append: &Append, now: Timestamp) -> Result<Option<Proposal>> {
        let Append { thread_id, kind, attempt, resumable, mark, count, ref bytes } = *append;
        let run = self.run.filter(|run| Some(run.run_id) == kind.run_id());
        let is_later = |of: RunId, other: u32| kind == Kind::Run(of) && other > attempt;
        let by_speaker = self.speaker.is_some_and(|(run_id, attempt)| is_later(run_id, attempt));
        if let Kind::Run(run_id) = kind
            && (by_speaker || run.is_some_and(|run| is_later(run.run_id, run.attempt)))
        {
            return Err(late(run_id, attempt));
        }
        if run.is_some_and(|run| run.ended) {
            return Ok(None);
        }
        let is_kept = run.is_some_and(|run| run.kept);
        let begins = matches!(kind, Kind::Run(_)) && resumable && !is_kept;
        let keep = kind == Kind::Thread || is_kept || begins;
        // The store refuses a proposal that expects a thread without a log, and so describes a run that this process
        // does not know.
        let is_known = kind.run_id().is_none() || run.is_some();
        let expected = if is_known { self.last } else { EventId::ZERO };
        let highest = self.highest.max(self.last);
        let is_young = highest.millis + FORGOTTEN_AFTER > millis(now);
        let before = if expected == EventId::ZERO && !(is_known && is_young) { expected } else { highest };
        let first = highest.next(millis(now));
        let last = EventId { sequence: first.sequence + count.saturating_sub(1), ..first };
        let bytes = bytes.clone();
        Ok(Some(Proposal { thread_id, kind, attempt, keep, begins, mark, expected, before, last, bytes }))
    }

    /// Notes that the store has taken a proposal.
    pub(super) fn took(&mut self, proposal: &Proposal) {
        self.last = proposal.last;
        self.highest = self.highest.max(proposal.last);
        match proposal.kind {
            Kind::Run(run_id) => {
                let attempt = proposal.attempt;
                self.speaker = Some((run_id, attempt));
                self.run = Some(KnownRun { run_id, attempt, kept: proposal.keep, ended: false });
            }
            Kind::End(run_id) => {
                self.run.iter_mut().filter(|run| run.run_id == run_id).for_each(|run| run.ended = run.kept);
            }
            Kind::Thread => {}
            Kind::Removed => (self.speaker, self.run) = (None, None),
        }
    }

    /// Learns the state of the thread, and of the run that the refused proposal was for.
    pub(super) fn learn(&mut self, run_id: Option<RunId>, state: ThreadState) {
        self.last = state.last;
        self.highest = self.highest.max(state.last);
        self.speaker = state.speaker;
        let ThreadState { attempt, kept, ended, .. } = state;
        self.run = run_id.map(|run_id| KnownRun { run_id, attempt, kept, ended });
    }
}

#[cfg(test)]
mod tests {
    use langopen_core::error::ErrorKind;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_763_900_000_000_000);

    fn run(n: u128) -> RunId {
        RunId(Uuid::from_u128(n))
    }

    fn append(kind: Kind, attempt: u32, resumable: bool) -> Append {
        let (thread_id, mark) = (ThreadId(Uuid::from_u128(1)), Uuid::from_u128(2));
        Append { thread_id, kind, attempt, resumable, mark, count: 3, bytes: Bytes::new() }
    }

    fn id(millis: u64, sequence: u64) -> EventId {
        EventId { millis, sequence }
    }

    #[test]
    fn a_call_proposes_what_follows_the_last_position() {
        let mut tail = Tail::default();
        let first = tail.propose(&append(Kind::Run(run(1)), 1, true), NOW).unwrap().unwrap();
        let now = millis(NOW);
        assert_eq!((first.expected, first.before, first.last), (EventId::ZERO, EventId::ZERO, id(now, 2)));
        assert!(first.keep && first.begins);
        tail.took(&first);
        let next = tail.propose(&append(Kind::Run(run(1)), 1, false), NOW).unwrap().unwrap();
        assert_eq!((next.expected, next.before, next.last), (first.last, first.last, id(now, 5)));
        assert!(next.keep && !next.begins, "the run's log is kept already");
        let end = tail.propose(&append(Kind::End(run(1)), 0, false), NOW).unwrap().unwrap();
        assert!(end.keep);
        tail.took(&end);
        assert!(tail.propose(&append(Kind::Run(run(1)), 1, true), NOW).unwrap().is_none(), "the log has ended");
    }

    #[test]
    fn a_later_attempt_fences_the_earlier() {
        let mut tail = Tail::default();
        let refused = |tail: &Tail| tail.propose(&append(Kind::Run(run(1)), 1, true), NOW).unwrap_err().kind();
        tail.took(&tail.propose(&append(Kind::Run(run(1)), 2, true), NOW).unwrap().unwrap());
        assert_eq!(refused(&tail), ErrorKind::LeaseLost);
        let claimed = ThreadState { last: id(5, 0), attempt: 2, ..ThreadState::default() };
        let mut tail = Tail::default();
        tail.learn(Some(run(1)), claimed);
        assert_eq!(refused(&tail), ErrorKind::LeaseLost, "a worker has claimed attempt 2");
    }

    #[test]
    fn the_store_is_asked_about_an_unknown_run() {
        let mut tail = Tail::default();
        tail.learn(None, ThreadState { last: id(5, 0), ..ThreadState::default() });
        let asks = tail.propose(&append(Kind::End(run(1)), 0, false), NOW).unwrap().unwrap();
        assert_eq!(asks.expected, EventId::ZERO, "the store refuses this, and describes the run");
        tail.learn(Some(run(1)), ThreadState { last: id(5, 0), kept: true, ..ThreadState::default() });
        let end = tail.propose(&append(Kind::End(run(1)), 0, false), NOW).unwrap().unwrap();
        assert_eq!((end.expected, end.keep), (id(5, 0), true));
    }

    #[test]
    fn records_that_a_crash_has_lost_leave_a_gap() {
        let mut tail = Tail::default();
        let lost = tail.propose(&append(Kind::Run(run(1)), 1, false), NOW).unwrap().unwrap();
        tail.took(&lost);
        for last in [id(5, 0), EventId::ZERO] {
            tail.learn(Some(run(1)), ThreadState { last, ..ThreadState::default() });
            let next = tail.propose(&append(Kind::Run(run(1)), 1, false), NOW).unwrap().unwrap();
            assert_eq!((next.expected, next.before), (last, lost.last));
            assert!(next.last > lost.last);
        }
        let later = NOW.plus(std::time::Duration::from_secs(7200));
        let next = tail.propose(&append(Kind::Run(run(1)), 1, false), later).unwrap().unwrap();
        assert_eq!(next.before, EventId::ZERO, "the store forgets an idle thread");
    }
}
