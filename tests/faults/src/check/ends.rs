//! Checks that every accepted run ends exactly once.

use std::collections::HashSet;

use super::{Evidence, Line, Violation};
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
            Some(status) => broken(WELL, format!("its status is {status}, although no client cancelled it")),
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
            && !blamed_rightly(evidence, run_id)
        {
            broken(WELL, format!("its answer is {answer}"));
        }
    }
}

/// Whether the platform gave the run up because two of its hosts ended, and faults hit the hosts of two of its attempts.
/// The platform cannot know that a fault, not the run, was the cause.
fn blamed_rightly(evidence: &Evidence, run_id: &str) -> bool {
    let blamed = evidence.errors.iter().any(|line| line.contains(run_id) && line.contains("GraphHostDied"));
    let hit = |line: &&Line| {
        evidence.incidents.iter().any(|incident| incident.host == Some(line.host) && line.at < incident.until)
    };
    let attempts: HashSet<_> = evidence.lines(run_id).iter().filter(hit).map(|line| line.attempt).collect();
    blamed && attempts.len() >= 2
}

fn is_end(status: &str) -> bool {
    !matches!(status, "pending" | "running")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::faults::{Fault, Incident};

    /// A run with two attempts, on the hosts 1 and 2, at the times 10 and 30.
    fn evidence(error: &str, faults: &[(i32, u128)]) -> Evidence {
        let line = |attempt, host, at| Line { attempt, step: 1, at, host };
        let incident = |&(host, at)| Incident {
            fault: Fault::KillHost,
            what: "runner-1".to_owned(),
            host: Some(host),
            from: at,
            until: at,
        };
        Evidence {
            entries: Vec::new(),
            lines: HashMap::from([("run".to_owned(), vec![line(1, 1, 10), line(2, 2, 30)])]),
            incidents: faults.iter().map(incident).collect(),
            reported: HashMap::new(),
            statuses: HashMap::new(),
            errors: vec![format!("worker-1.log: ERROR run{{run_id=run}}: error={error}: it ended")],
            values: HashMap::new(),
            items: HashMap::new(),
            in_flight: Vec::new(),
        }
    }

    #[test]
    fn a_run_is_given_up_rightly_only_after_faults_hit_two_of_its_hosts() {
        let both = [(1, 20), (2, 40)];
        assert!(blamed_rightly(&evidence("GraphHostDied", &both), "run"));
        assert!(!blamed_rightly(&evidence("RunLost", &both), "run"), "another error");
        assert!(!blamed_rightly(&evidence("GraphHostDied", &both[..1]), "run"), "one host");
        assert!(!blamed_rightly(&evidence("GraphHostDied", &[(1, 20), (3, 40)]), "run"), "the host of other runs");
        assert!(!blamed_rightly(&evidence("GraphHostDied", &[(1, 20), (2, 25)]), "run"), "before the attempt");
    }
}
