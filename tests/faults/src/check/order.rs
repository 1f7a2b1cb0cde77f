//! Checks that runs of a thread execute one after another, in the order of their acceptance.

use std::collections::HashMap;

use super::{Evidence, Violation};
use crate::load::Entry;

const ORDER: &str = "runs of a thread start in the order of their acceptance";
const ALONE: &str = "one run of a thread runs at a time";

pub(super) fn check(evidence: &Evidence, found: &mut Vec<Violation>) {
    let mut threads: HashMap<&str, Vec<(&Entry, &str)>> = HashMap::new();
    for entry in &evidence.entries {
        // Each client requests the runs of a thread one after another, and waits for each answer.
        if let Some(run_id) = &entry.run_id {
            threads.entry(&entry.thread_id).or_default().push((entry, run_id));
        }
    }
    for runs in threads.values() {
        let began: Vec<_> = runs.iter().filter(|(_, run_id)| !evidence.lines(run_id).is_empty()).collect();
        for pair in began.windows(2) {
            let ((_, first), (_, second)) = (pair[0], pair[1]);
            let (lines, next) = (evidence.lines(first), evidence.lines(second));
            let (Some(begin), Some(next_begin)) = (lines.first(), next.first()) else { continue };
            let of = || format!("{first} then {second}");
            if begin.at > next_begin.at {
                let evidence = format!("the second began {} ms before", (begin.at - next_begin.at) / 1_000_000);
                found.push(Violation { promise: ORDER, of: of(), evidence });
            }
            // A process of an earlier attempt may resume late. The platform ignores its results.
            let last_attempt = lines.iter().map(|line| line.attempt).max();
            let end = lines.iter().filter(|line| Some(line.attempt) == last_attempt).map(|line| line.at).max();
            if evidence.succeeded(first)
                && let Some(end) = end.filter(|end| *end > next_begin.at)
            {
                let evidence = format!("the first went on for {} ms", (end - next_begin.at) / 1_000_000);
                found.push(Violation { promise: ALONE, of: of(), evidence });
            }
        }
    }
}
