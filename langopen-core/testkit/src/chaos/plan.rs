//! Plans of failures.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::Chaotic;

/// How often failures happen. Each rate is a probability from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rates {
    /// A call fails and does nothing.
    pub refused: f64,
    /// A call does its work, but its answer is lost.
    pub unanswered: f64,
    /// A call waits before its work and before its answer, at most [`Rates::longest`] in total.
    pub delayed: f64,
    /// A hint is lost.
    pub lost_hint: f64,
    /// A stream breaks off after an item. A stream of `n` items completes with probability `(1 - broken)^n`.
    pub broken: f64,
    /// The longest delay.
    pub longest: Duration,
}

/// The failures so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// All calls, with and without failures.
    pub calls: u64,
    /// Calls that failed and did nothing.
    pub refused: u64,
    /// Calls that did their work, but whose answer was lost.
    pub unanswered: u64,
    /// Calls that were delayed.
    pub delayed: u64,
    /// Hints that were lost.
    pub lost_hints: u64,
    /// Streams that broke off.
    pub broken: u64,
}

impl Counts {
    /// The number of failed calls, lost answers, lost hints and broken streams. Delays do not count.
    pub fn faults(&self) -> u64 {
        self.refused + self.unanswered + self.lost_hints + self.broken
    }
}

/// The failures of one call.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fate {
    pub(super) refused: bool,
    pub(super) unanswered: bool,
    pub(super) before: Duration,
    pub(super) after: Duration,
}

#[derive(Default)]
struct Tally {
    calls: AtomicU64,
    refused: AtomicU64,
    unanswered: AtomicU64,
    delayed: AtomicU64,
    lost_hints: AtomicU64,
    broken: AtomicU64,
}

/// A plan of failures. Clones share the plan and its counts.
#[derive(Clone)]
pub struct Chaos(Arc<Plan>);

struct Plan {
    seed: u64,
    rates: Rates,
    /// Rates for single operations, or for all operations of a part.
    exceptions: Vec<(&'static str, Rates)>,
    calm: AtomicBool,
    turns: Mutex<HashMap<&'static str, u64>>,
    tally: Tally,
}

impl Chaos {
    /// A plan with these rates for all operations.
    pub fn new(seed: u64, rates: Rates) -> Self {
        let (turns, tally) = (Mutex::default(), Tally::default());
        Self(Arc::new(Plan { seed, rates, exceptions: Vec::new(), calm: AtomicBool::new(false), turns, tally }))
    }

    /// Restarts the plan with separate rates for `operation`: an operation as an [`Error`](langopen_core::Error) names
    /// it, e.g. `queue.finish`, or all operations of a part, e.g. `queue`. If several exceptions match, the last one
    /// applies.
    #[must_use]
    pub fn except(self, operation: &'static str, rates: Rates) -> Self {
        let mut exceptions = self.0.exceptions.clone();
        exceptions.push((operation, rates));
        let calm = AtomicBool::new(self.0.calm.load(Ordering::SeqCst));
        let (turns, tally) = (Mutex::default(), Tally::default());
        Self(Arc::new(Plan { seed: self.0.seed, rates: self.0.rates, exceptions, calm, turns, tally }))
    }

    /// Wraps a part with this plan.
    pub fn around<T: ?Sized>(&self, inner: Arc<T>) -> Arc<Chaotic<T>> {
        Arc::new(Chaotic::new(self.clone(), inner))
    }

    /// Ends all failures from now on. Streams that are already open may still break off.
    pub fn calm(&self) {
        self.0.calm.store(true, Ordering::SeqCst);
    }

    /// The failures so far.
    pub fn counts(&self) -> Counts {
        let tally = &self.0.tally;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            calls: read(&tally.calls),
            refused: read(&tally.refused),
            unanswered: read(&tally.unanswered),
            delayed: read(&tally.delayed),
            lost_hints: read(&tally.lost_hints),
            broken: read(&tally.broken),
        }
    }

    /// Decides the failures of the next call of this operation.
    pub(super) fn fate(&self, operation: &'static str) -> Fate {
        count(&self.0.tally.calls);
        let Some((rates, dice)) = self.roll(operation) else { return Fate::default() };
        let mut fate = Fate::default();
        if hits(dice[0], rates.delayed) {
            count(&self.0.tally.delayed);
            let whole = rates.longest.mul_f64(fraction(dice[1]));
            fate.before = whole.mul_f64(fraction(dice[1].rotate_left(32)));
            fate.after = whole.saturating_sub(fate.before);
        }
        if hits(dice[2], rates.refused) {
            count(&self.0.tally.refused);
            fate.refused = true;
        } else if hits(dice[3], rates.unanswered) {
            count(&self.0.tally.unanswered);
            fate.unanswered = true;
        }
        fate
    }

    /// Whether the plan may lose hints of this name.
    pub(super) fn may_lose(&self, hint: &str) -> bool {
        self.rates(hint).lost_hint > 0.0
    }

    /// Decides whether the next hint of this name is lost.
    pub(super) fn loses(&self, hint: &'static str) -> bool {
        let lost = self.roll(hint).is_some_and(|(rates, dice)| hits(dice[0], rates.lost_hint));
        if lost {
            count(&self.0.tally.lost_hints);
        }
        lost
    }

    /// Decides after how many items the next stream of this operation breaks off, and whether it then reports an error.
    /// Streams that may also end silently use the second value.
    pub(super) fn breaks(&self, operation: &'static str) -> Option<(u64, bool)> {
        let (rates, dice) = self.roll(operation)?;
        let items = match rates.broken {
            rate if rate <= 0.0 => return None,
            rate if rate >= 1.0 => 0,
            // The number of items before the first lost one.
            rate => ((1.0 - fraction(dice[0])).ln() / (1.0 - rate).ln()) as u64,
        };
        Some((items, dice[1] % 2 == 0))
    }

    /// Counts a stream that broke off.
    pub(super) fn broke(&self) {
        count(&self.0.tally.broken);
    }

    /// The rates of `operation` and four random numbers for its next call; `None` after [`Chaos::calm`].
    fn roll(&self, operation: &'static str) -> Option<(Rates, [u64; 4])> {
        let turn = {
            let mut turns = self.0.turns.lock();
            let turn = turns.entry(operation).or_default();
            *turn += 1;
            *turn
        };
        if self.0.calm.load(Ordering::SeqCst) {
            return None;
        }
        let hash = Sha256::new().chain_update(self.0.seed.to_be_bytes()).chain_update(turn.to_be_bytes());
        let hash: [u8; 32] = hash.chain_update(operation).finalize().into();
        let mut dice = [0; 4];
        for (number, bytes) in dice.iter_mut().zip(hash.as_chunks::<8>().0) {
            *number = u64::from_be_bytes(*bytes);
        }
        Some((self.rates(operation), dice))
    }

    fn rates(&self, operation: &str) -> Rates {
        let part = operation.split('.').next();
        let fits = |name: &str| name == operation || Some(name) == part;
        self.0.exceptions.iter().rev().find(|(name, _)| fits(name)).map_or(self.0.rates, |(_, rates)| *rates)
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// A number in the range from 0 to 1, excluding 1.
fn fraction(number: u64) -> f64 {
    // Uses as many bits as the type represents exactly.
    (number >> 11) as f64 / (1u64 << 53) as f64
}

fn hits(number: u64, rate: f64) -> bool {
    fraction(number) < rate
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: Rates =
        Rates { refused: 0.2, unanswered: 0.2, delayed: 0.0, lost_hint: 0.3, broken: 0.1, longest: Duration::ZERO };

    fn fates(chaos: &Chaos) -> Vec<(bool, bool)> {
        (0..1000).map(|_| chaos.fate("queue.claim")).map(|fate| (fate.refused, fate.unanswered)).collect()
    }

    #[test]
    fn a_seed_makes_one_plan_whatever_happens_beside() {
        let (first, second) = (Chaos::new(1, RATES), Chaos::new(1, RATES));
        second.fate("queue.finish");
        second.loses("queue.wakes");
        let planned = fates(&first);
        assert_eq!(planned, fates(&second));
        assert_ne!(planned, fates(&Chaos::new(2, RATES)));
    }

    #[test]
    fn rates_are_kept_and_counted() {
        let chaos = Chaos::new(3, RATES).except("queue.finish", Rates { refused: 1.0, ..RATES });
        fates(&chaos);
        let counts = chaos.counts();
        assert_eq!(counts.calls, 1000);
        assert!((150..250).contains(&counts.refused), "{counts:?}");
        assert!((110..210).contains(&counts.unanswered), "{counts:?}");
        assert!((0..50).all(|_| chaos.fate("queue.finish").refused));
        chaos.calm();
        assert!(fates(&chaos).iter().all(|fate| *fate == (false, false)));
    }

    #[test]
    fn a_part_may_have_rates_of_its_own() {
        let chaos = Chaos::new(4, Rates::default()).except("queue", Rates { refused: 1.0, ..RATES });
        assert!(chaos.fate("queue.claim").refused);
        assert!(!chaos.fate("runs.get").refused);
    }

    #[test]
    fn streams_break_off_at_the_rate_of_their_items() {
        let chaos = Chaos::new(5, RATES);
        let items: u64 = (0..1000).filter_map(|_| chaos.breaks("event_log.read")).map(|(items, _)| items).sum();
        // On average, nine items pass before the lost one.
        assert!((7_500..10_500).contains(&items), "{items}");
    }
}
