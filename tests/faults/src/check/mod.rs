//! Checks the promises that must hold under every fault.

mod ends;
mod order;
mod steps;
mod store;
mod streams;

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use serde_json::Value;

use crate::faults::Incident;
use crate::load::{Entry, Kind, Strategy};

pub(crate) use steps::{Line, parse};

/// A broken promise.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Violation {
    /// The promise.
    pub(crate) promise: &'static str,
    /// The run or the thread that it concerns.
    pub(crate) of: String,
    pub(crate) evidence: String,
}

/// All observations of a trial.
pub(crate) struct Evidence {
    pub(crate) entries: Vec<Entry>,
    /// The lines that graphs wrote, by run.
    pub(crate) lines: HashMap<String, Vec<Line>>,
    pub(crate) incidents: Vec<Incident>,
    /// The end status of each run, as its webhooks reported it.
    pub(crate) reported: HashMap<String, HashSet<String>>,
    /// The status of each accepted run at the end of the trial.
    pub(crate) statuses: HashMap<String, String>,
    /// The errors that the platform logged about accepted runs.
    pub(crate) errors: Vec<String>,
    /// The values of each thread at the end of the trial.
    pub(crate) values: HashMap<String, Value>,
    /// The store item of each run that succeeded.
    pub(crate) items: HashMap<String, Value>,
    /// The runs that are still in flight in the database.
    pub(crate) in_flight: Vec<String>,
}

/// Returns all broken promises.
pub(crate) fn check(evidence: &Evidence) -> Vec<Violation> {
    let mut found = Vec::new();
    ends::check(evidence, &mut found);
    steps::check(evidence, &mut found);
    store::check(evidence, &mut found);
    order::check(evidence, &mut found);
    streams::check(evidence, &mut found);
    found
}

impl Evidence {
    fn status(&self, run_id: &str) -> Option<&str> {
        self.statuses.get(run_id).map(String::as_str)
    }

    fn succeeded(&self, run_id: &str) -> bool {
        self.status(run_id) == Some("success")
    }

    fn lines(&self, run_id: &str) -> &[Line] {
        self.lines.get(run_id).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether a client may have cancelled or superseded the run, and whether the run may have been deleted for that
    /// reason.
    fn may_be_stopped(&self, entry: &Entry) -> (bool, bool) {
        let later =
            self.entries.iter().filter(|later| later.thread_id == entry.thread_id && later.number > entry.number);
        let (mut stopped, mut gone) = (entry.cancelled.is_some(), entry.cancelled == Some("rollback"));
        for later in later {
            stopped |= matches!(later.strategy, Strategy::Interrupt | Strategy::Rollback);
            gone |= later.strategy == Strategy::Rollback;
        }
        (stopped, gone || entry.kind == Kind::Stateless)
    }
}
