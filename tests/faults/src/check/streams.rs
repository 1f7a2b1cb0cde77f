//! Checks that a stream shows every event once and in order, however often its client rejoins it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Evidence, Violation};
use crate::load::{Entry, Kind, SseEvent};

const ONCE: &str = "a stream shows each event once, in order";
const WHOLE: &str = "a rejoined stream shows the same events as a new reader sees";
const COMPLETE: &str = "a stream shows every step";
const ATTEMPTS: &str = "an attempt sends no events after a later one has begun";

pub(super) fn check(evidence: &Evidence, found: &mut Vec<Violation>) {
    for entry in evidence.entries.iter().filter(|entry| entry.kind == Kind::Stream) {
        let Some(run_id) = &entry.run_id else { continue };
        let mut broken = |promise, text: String| {
            let evidence = format!("{text}; rejoined {} times: {:?}", entry.rejoined, shown(&entry.events));
            found.push(Violation { promise, of: run_id.clone(), evidence });
        };
        let ids: Vec<_> = entry.events.iter().map(|event| place(&event.id)).collect();
        if ids.windows(2).any(|pair| pair[0] >= pair[1]) {
            broken(ONCE, "the ids do not increase".to_owned());
        }
        match &entry.replay {
            Some(replay) if *replay != entry.events => broken(WHOLE, format!("a new reader sees {:?}", shown(replay))),
            Some(_) => {}
            None if evidence.succeeded(run_id) => broken(WHOLE, "a new reader sees no events".to_owned()),
            None => {}
        }
        check_steps(evidence, entry, run_id, &mut broken);
    }
}

/// Checks that the steps of each attempt are consecutive, and that all attempts together show every step.
fn check_steps(evidence: &Evidence, entry: &Entry, run_id: &str, broken: &mut impl FnMut(&'static str, String)) {
    let mut attempts: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let mut latest = 0;
    for event in entry.events.iter().filter(|event| matches!(event.name.as_str(), "custom" | "metadata")) {
        let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
        let Some(attempt) = data["attempt"].as_u64() else { continue };
        if attempt < latest {
            broken(ATTEMPTS, format!("attempt {attempt} after {latest}"));
        }
        latest = latest.max(attempt);
        attempts.entry(attempt).or_default().extend(data["step"].as_u64());
    }
    if attempts.values().any(|steps| steps.windows(2).any(|pair| pair[0] + 1 != pair[1])) {
        broken(COMPLETE, "an attempt leaves steps out or repeats them".to_owned());
    }
    let shows = |step: &u64| attempts.values().flatten().any(|shown| shown == step);
    if evidence.succeeded(run_id) {
        // A process may die after a step's checkpoint was stored but before its event was. The step is then not
        // repeated.
        let unseen: Vec<_> = (1..=entry.steps).filter(|step| !shows(step)).collect();
        let excused =
            |step: &u64| evidence.lines(run_id).iter().any(|line| line.step == *step && line.attempt < latest);
        if unseen.iter().any(|step| !excused(step)) {
            broken(COMPLETE, format!("the run has {} steps, but the stream lacks {unseen:?}", entry.steps));
        }
    }
}

fn place(id: &str) -> (u64, u64) {
    let (millis, sequence) = id.split_once('-').unwrap_or((id, "0"));
    (millis.parse().unwrap_or(0), sequence.parse().unwrap_or(0))
}

fn shown(events: &[SseEvent]) -> Vec<String> {
    let short = |event: &SseEvent| {
        let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
        let number = |key| data[key].as_u64().map_or(String::new(), |number| format!(" {key} {number}"));
        format!("{} {}{}{}{}", event.id, event.name, number("attempt"), number("step"), number("at"))
    };
    events.iter().map(short).collect()
}
