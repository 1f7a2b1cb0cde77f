//! What must hold, whatever was broken.

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

/// A promise that was broken.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Violation {
    /// The promise.
    pub(crate) promise: &'static str,
    /// Of which run or thread.
    pub(crate) of: String,
    pub(crate) evidence: String,
}

/// Everything that is known about a trial.
pub(crate) struct Evidence {
    pub(crate) entries: Vec<Entry>,
    /// What graphs wrote, by run.
    pub(crate) lines: HashMap<String, Vec<Line>>,
    pub(crate) incidents: Vec<Incident>,
    /// How each run ended, as webhooks told it.
    pub(crate) told: HashMap<String, HashSet<String>>,
    /// The status of each accepted run when all was over.
    pub(crate) statuses: HashMap<String, String>,
    /// The values of each thread when all was over.
    pub(crate) values: HashMap<String, Value>,
    /// The store item of each run that succeeded.
    pub(crate) items: HashMap<String, Value>,
    /// What the database says of runs that are not over.
    pub(crate) in_flight: Vec<String>,
}

/// All promises that were broken.
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

    /// Whether someone may have cancelled the run, or superseded it; and whether it may be gone for that.
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
