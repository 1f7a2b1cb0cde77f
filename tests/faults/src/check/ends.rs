//! Checks that every accepted run ends exactly once.

use super::{Evidence, Line, Violation};
use crate::faults::Fault;
use crate::load::Kind;

const LOST: &str = "an accepted run is not lost";
const ONCE: &str = "a run ends once";
const WELL: &str = "a run ends as its graph did";

pub(super) fn check(evidence: &Evidence, found: &mut Vec<Violation>) {
    for run in &evidence.in_flight {
        found.push(Violation { promise: LOST, of: run.clone(), evidence: "it is still in flight".to_owned() });
    }
    for entry in &evidence.entries {
        let Some(run_id) = &entry.run_id else { continue };
        let mut broken = |promise, evidence| found.push(Violation { promise, of: run_id.clone(), evidence });
        let (stopped, gone) = evidence.may_be_stopped(entry);
        match evidence.status(run_id) {
            None | Some("gone") if gone => {}
            None | Some("gone") => broken(LOST, format!("the run does not exist; statuses seen: {:?}", entry.statuses)),
            Some("success") => {}
            Some("interrupted") if stopped => {}
            Some("error") if blamed_rightly(evidence, run_id) => {}
            Some(status) => {
                let why = evidence.errors.get(run_id).map(|error| format!(" ({error})")).unwrap_or_default();
                broken(WELL, format!("its status is {status}{why}, although no client cancelled it"));
            }
        }
        let ends: Vec<_> = entry.statuses.iter().filter(|status| is_end(status)).collect();
        if let Some(first) = ends.first()
            && ends.iter().any(|end| end != first && end.as_str() != "gone")
        {
            broken(ONCE, format!("statuses seen: {:?}", entry.statuses));
        }
        let reported = evidence.reported.get(run_id);
        if let Some(reported) = reported.filter(|reported| reported.len() > 1) {
            broken(ONCE, format!("webhooks reported these ends: {reported:?}"));
        }
        if reported.is_none() && entry.hooked && evidence.succeeded(run_id) {
            broken("a webhook reports the end", "no webhook arrived".to_owned());
        }
        if entry.kind == Kind::Stateless
            && let Some(answer) = &entry.answer
            && answer.get("__error__").is_some_and(|error| error["error"] != "InternalError")
        {
            broken(WELL, format!("its answer is {answer}"));
        }
    }
}

/// Whether the platform gave the run up because two of its hosts ended, and faults ended two hosts while the run was in
/// flight. The platform cannot know that a fault, not the run, was the cause.
fn blamed_rightly(evidence: &Evidence, run_id: &str) -> bool {
    let blamed = evidence.errors.get(run_id).is_some_and(|error| error["error"] == "GraphHostDied");
    let began = evidence.lines(run_id).iter().map(|line: &Line| line.at).min();
    let hosts = evidence.incidents.iter().filter(|incident| {
        matches!(incident.fault, Fault::KillHost | Fault::HoldHost) && began.is_some_and(|began| began < incident.until)
    });
    blamed && hosts.count() >= 2
}

fn is_end(status: &str) -> bool {
    !matches!(status, "pending" | "running")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::json;

    use super::*;
    use crate::faults::Incident;

    fn evidence(error: &str, faults: &[(Fault, u128)]) -> Evidence {
        let line = Line { attempt: 1, step: 1, at: 10 };
        let incident = |&(fault, at)| Incident { fault, what: "runner-1".to_owned(), from: at, until: at };
        Evidence {
            entries: Vec::new(),
            lines: HashMap::from([("run".to_owned(), vec![line])]),
            incidents: faults.iter().map(incident).collect(),
            reported: HashMap::new(),
            statuses: HashMap::new(),
            errors: HashMap::from([("run".to_owned(), json!({"error": error}))]),
            values: HashMap::new(),
            items: HashMap::new(),
            in_flight: Vec::new(),
        }
    }

    #[test]
    fn a_run_is_given_up_rightly_only_after_two_hosts_were_ended_under_it() {
        let both = [(Fault::KillHost, 20), (Fault::HoldHost, 30)];
        assert!(blamed_rightly(&evidence("GraphHostDied", &both), "run"));
        assert!(!blamed_rightly(&evidence("RunLost", &both), "run"));
        assert!(!blamed_rightly(&evidence("GraphHostDied", &both[..1]), "run"));
        assert!(!blamed_rightly(&evidence("GraphHostDied", &[(Fault::KillHost, 5), (Fault::KillHost, 20)]), "run"));
        assert!(!blamed_rightly(&evidence("GraphHostDied", &[(Fault::Cut, 20), (Fault::KillHost, 20)]), "run"));
    }
}
