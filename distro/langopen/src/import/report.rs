//! Counts and prints what an import did, and what it could not import.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::checkpoint::READABLE;
use super::source::Totals;
use crate::announce::say;

/// The shortest pause between two progress lines.
const SAY_EVERY: Duration = Duration::from_secs(2);

/// How many failures the import prints. It only counts further ones.
const TOLD: u64 = 50;

/// Counts of an import.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Threads that the target now holds completely.
    pub(super) threads: Count,
    /// Threads that were skipped because their ids are not UUIDs.
    pub(super) skipped: Count,
    pub(super) checkpoints: Count,
    pub(super) writes: Count,
    pub(super) items: Count,
    pub(super) vectors: Count,
    /// Namespaces, checkpoints and items that the target already had.
    pub(super) present: Count,
    failures: Count,
    said: Mutex<Option<Instant>>,
    unreadable: Mutex<BTreeMap<String, u64>>,
}

/// A counter that several tasks increment.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, number: usize) {
        self.0.fetch_add(number as u64, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl Report {
    /// Prints the progress, unless the last progress line is too recent.
    pub(super) fn progress(&self, totals: &Totals) {
        let now = Instant::now();
        {
            let mut said = self.said.lock();
            if now.duration_since(*said.get_or_insert(now)) < SAY_EVERY {
                return;
            }
            *said = Some(now);
        }
        self.say_counts(totals);
    }

    /// Prints what could not be imported, and why.
    pub(super) fn failed(&self, what: impl fmt::Display, why: impl fmt::Display) {
        self.failures.add(1);
        match self.failures.get() {
            number if number <= TOLD => say("failed", &format!("{what}: {why}")),
            number if number == TOLD + 1 => say("failed", "further failures are counted but not shown"),
            _ => {}
        }
    }

    /// Counts the encoding of a value.
    pub(super) fn note_kind(&self, kind: &str) {
        if !READABLE.contains(&kind) {
            *self.unreadable.lock().entry(kind.to_owned()).or_default() += 1;
        }
    }

    pub(super) fn failures(&self) -> u64 {
        self.failures.get()
    }

    /// Prints the final counts.
    pub(super) fn conclude(&self, totals: &Totals) {
        self.say_counts(totals);
        say("present", &format!("{} parts already existed and were not changed", self.present));
        if self.skipped.get() > 0 {
            say("skipped", &format!("{} threads whose ids are not UUIDs", self.skipped));
        }
        warn_of_kinds(self.unreadable.lock().iter().map(|(kind, count)| (kind.as_str(), *count)));
    }

    fn say_counts(&self, totals: &Totals) {
        let Self { threads, checkpoints, writes, items, vectors, .. } = self;
        if totals.threads > 0 {
            let text =
                format!("{threads} of {}, with {checkpoints} new checkpoints and {writes} writes", totals.threads);
            say("threads", &text);
        }
        if totals.items > 0 {
            say("store", &format!("{items} new items of {}, with {vectors} vectors", totals.items));
        }
    }
}

/// Warns about values that graph hosts cannot read.
pub(super) fn warn_of_kinds<'a>(kinds: impl Iterator<Item = (&'a str, u64)>) {
    for (kind, count) in kinds {
        let text =
            format!("{count} values are encoded as {kind:?}: the import copies them, but graph hosts cannot read them");
        say("warning", &text);
    }
}
