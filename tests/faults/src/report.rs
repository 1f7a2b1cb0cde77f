//! Reports the results of all trials, as text and as JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::trial::Trial;

/// The maximum number of violations that the report shows for each trial.
const TOLD: usize = 20;

/// The maximum number of log lines that the report shows for each trial.
const LOGGED: usize = 60;

/// How often each kind of fault was made.
fn kinds(trials: &[Trial]) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for incident in trials.iter().flat_map(|trial| &trial.incidents) {
        *kinds.entry(incident.fault.name()).or_default() += 1;
    }
    kinds
}

pub(crate) fn faults(trials: &[Trial]) -> u64 {
    trials.iter().map(|trial| trial.incidents.len() as u64).sum()
}

/// One line about a trial, followed by its broken promises.
pub(crate) fn lines(trial: &Trial) -> String {
    let found =
        trial.violations.iter().take(TOLD).map(|found| {
            format!("\nVIOLATION (seed {}) {}: {}: {}", trial.seed, found.promise, found.of, found.evidence)
        });
    let line = format!(
        "seed {}: {} faults, {} runs asked for, {} accepted, {} attempted again, {} times gone back to, {} violations",
        trial.seed,
        trial.incidents.len(),
        trial.asked,
        trial.accepted,
        trial.repeated,
        trial.rejoined,
        trial.violations.len()
    );
    let logs = trial.logs.iter().take(LOGGED).map(|line| format!("\n  {line}"));
    found.chain(logs).fold(line, |lines, found| lines + &found)
}

pub(crate) fn text(trials: &[Trial]) -> String {
    let mut lines = Vec::new();
    for (kind, number) in kinds(trials) {
        lines.push(format!("{number:>6}  {kind}"));
    }
    let accepted: usize = trials.iter().map(|trial| trial.accepted).sum();
    lines.push(format!("{:>6}  faults in {} trials with {accepted} accepted runs", faults(trials), trials.len()));
    lines.push(format!("{:>6}  violations", trials.iter().map(|trial| trial.violations.len()).sum::<usize>()));
    lines.join("\n")
}

pub(crate) fn as_json(trials: &[Trial]) -> Value {
    let trial = |trial: &Trial| {
        json!({
            "seed": trial.seed, "faults": trial.incidents.len(), "asked": trial.asked, "accepted": trial.accepted,
            "attempted_again": trial.repeated, "gone_back_to": trial.rejoined, "violations": trial.violations,
        })
    };
    json!({
        "faults": faults(trials),
        "kinds": kinds(trials),
        "trials": trials.iter().map(trial).collect::<Vec<_>>(),
        "violations": trials.iter().map(|trial| trial.violations.len()).sum::<usize>(),
    })
}
