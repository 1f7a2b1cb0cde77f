//! Checks that every accepted run ends exactly once.

use super::{Evidence, Violation};
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
        {
            broken(WELL, format!("its answer is {answer}"));
        }
    }
}

fn is_end(status: &str) -> bool {
    !matches!(status, "pending" | "running")
}
