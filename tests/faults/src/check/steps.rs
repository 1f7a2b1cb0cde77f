//! Checks that no step is missing or out of order, and that steps repeat only after a fault.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::{Evidence, Violation};
use crate::load::{Entry, Kind};
use crate::platform::LEASE;

const ORDER: &str = "steps are in order";
const REPEATED: &str = "a step repeats only after a fault";
const COMPLETE: &str = "a successful run takes every step, and its thread shows each step once";

/// The line that a graph writes before it takes a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    pub(crate) attempt: u64,
    pub(crate) step: u64,
    /// Nanoseconds on the machine's monotonic clock.
    pub(crate) at: u128,
    /// The process id of the graph host.
    pub(crate) host: i32,
}

/// Parses the file of steps. Returns the lines by run, in the order of the file.
pub(crate) fn parse(text: &str) -> HashMap<String, Vec<Line>> {
    let mut lines: HashMap<String, Vec<Line>> = HashMap::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        let parsed = (|| {
            let run_id = words.next()?.to_owned();
            let mut number = || words.next()?.parse().ok();
            let (attempt, step, at) = (number()? as u64, number()? as u64, number()?);
            Some((run_id, Line { attempt, step, at, host: i32::try_from(number()?).ok()? }))
        })();
        if let Some((run_id, line)) = parsed {
            lines.entry(run_id).or_default().push(line);
        }
    }
    lines
}

pub(super) fn check(evidence: &Evidence, found: &mut Vec<Violation>) {
    for entry in &evidence.entries {
        let Some(run_id) = &entry.run_id else { continue };
        let lines = evidence.lines(run_id);
        let mut broken = |promise, text: String| {
            let evidence = format!("{text}; lines: {:?}", short(lines));
            found.push(Violation { promise, of: run_id.clone(), evidence });
        };
        let attempts = attempts(lines);
        let mut before: Option<(&u64, &Vec<Line>)> = None;
        for (attempt, steps) in &attempts {
            if steps.windows(2).any(|pair| pair[0].step + 1 != pair[1].step) {
                broken(ORDER, format!("attempt {attempt}"));
            }
            // A worker or a runner that was held up may begin an attempt after later attempts have ended. The platform
            // ignores the results of such an attempt.
            let first = steps[0];
            let taken = lines.iter().filter(|line| line.at < first.at).map(|line| line.step).max().unwrap_or(0);
            // A run without checkpoints begins again from its first step.
            let most = if entry.kind == Kind::Stateless { 1 } else { taken + 1 };
            if first.step > most {
                broken(ORDER, format!("attempt {attempt} begins with step {}, after {taken} steps", first.step));
            }
            if let Some((earlier, steps)) = before
                && !explained(evidence, steps[0].at, first.at)
            {
                broken(REPEATED, format!("attempt {attempt} follows {earlier}, without a fault in between"));
            }
            before = Some((attempt, steps));
        }
        if evidence.succeeded(run_id) {
            let taken = |step| lines.iter().any(|line| line.step == step);
            if !(1..=entry.steps).all(taken) {
                broken(COMPLETE, format!("the run has {} steps", entry.steps));
            }
        }
        check_answer(entry, run_id, &mut broken);
        if let Some(values) = evidence.values.get(&entry.thread_id)
            && evidence.succeeded(run_id)
            && logged(values, run_id) != (1..=entry.steps).collect::<Vec<_>>()
        {
            broken(
                COMPLETE,
                format!("the run has {} steps, but its thread shows {:?}", entry.steps, logged(values, run_id)),
            );
        }
    }
}

/// Checks that the answer of `wait` shows each step once, if the run was not stopped.
fn check_answer(entry: &Entry, run_id: &str, broken: &mut impl FnMut(&'static str, String)) {
    let Some(answer) = entry.answer.as_ref().filter(|answer| answer.get("log").is_some()) else { return };
    let logged = logged(answer, run_id);
    if logged != (1..=entry.steps).collect::<Vec<_>>() {
        broken(COMPLETE, format!("the run has {} steps, but the answer shows {logged:?}", entry.steps));
    }
}

/// The steps of the run that the values contain.
fn logged(values: &Value, run_id: &str) -> Vec<u64> {
    taken(values, run_id).into_iter().map(|(step, _)| step).collect()
}

/// The steps of the run in the values, each with its attempt.
pub(super) fn taken(values: &Value, run_id: &str) -> Vec<(u64, u64)> {
    let log = values.get("log").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let numbers = |line: &str| {
        let (step, attempt) = line.strip_prefix(run_id)?.trim().split_once(' ')?;
        Some((step.parse().ok()?, attempt.parse().ok()?))
    };
    log.filter_map(numbers).collect()
}

fn attempts(lines: &[Line]) -> BTreeMap<u64, Vec<Line>> {
    let mut attempts: BTreeMap<u64, Vec<Line>> = BTreeMap::new();
    lines.iter().for_each(|line| attempts.entry(line.attempt).or_default().push(*line));
    attempts
}

/// Whether a fault was active between two moments, or so shortly before that it still had an effect.
fn explained(evidence: &Evidence, from: u128, until: u128) -> bool {
    let before = from.saturating_sub(3 * LEASE.as_nanos());
    evidence.incidents.iter().any(|incident| incident.from <= until && incident.until >= before)
}

fn short(lines: &[Line]) -> Vec<String> {
    let first = lines.first().map_or(0, |line| line.at);
    lines
        .iter()
        .map(|line| format!("{}.{}+{}ms", line.attempt, line.step, line.at.saturating_sub(first) / 1_000_000))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_damaged_ones_left_out() {
        let lines = parse("a 1 1 100 7\na 1 2 200 7\nb 2 1 300 8\nc 1 1 400\nnonsense\n");
        assert_eq!(lines["a"].len(), 2);
        assert_eq!((lines["b"][0].attempt, lines["b"][0].step, lines["b"][0].at), (2, 1, 300));
    }
}
