//! How a host ended, and which of its runs is to blame.

use langopen_core::executor::{AttemptLost, Blame};
use serde::{Deserialize, Serialize};

/// How a host ended.
#[derive(Debug, Clone)]
pub(crate) struct Ending {
    /// The cause for people: a signal, an exit status, or why the runner ended the host.
    pub(crate) cause: String,
    /// Which run is to blame.
    pub(crate) guilt: Guilt,
}

/// Which run is to blame for the end of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guilt {
    /// Unknown: any of the runs that executed.
    Unknown,
    /// The run with this handle broke a rule.
    Run(u32),
    /// None: the runner ended the host for its own reasons.
    Nobody,
}

/// The work in flight on a host when it ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct Aboard {
    /// The handles of the runs, each with whether the run was a suspect.
    pub(crate) runs: Vec<(u32, bool)>,
    /// Whether other code executed too: calls, requests, or remains of cancelled runs.
    pub(crate) others: bool,
}

impl Ending {
    pub(crate) fn new(guilt: Guilt, cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), guilt }
    }

    /// How far the run with this handle is to blame.
    pub(crate) fn blame(&self, run: u32, aboard: &Aboard) -> Blame {
        match self.guilt {
            Guilt::Nobody => return Blame::Bystander,
            Guilt::Run(guilty) if guilty == run => return Blame::Culprit,
            Guilt::Run(_) => return Blame::Bystander,
            Guilt::Unknown => {}
        }
        let mut suspects = aboard.runs.iter().filter(|(_, suspect)| *suspect).map(|(handle, _)| *handle);
        match (suspects.next(), suspects.next()) {
            // The only suspect among the runs.
            (Some(only), None) if only == run => Blame::Culprit,
            (Some(_), None) => Blame::Bystander,
            _ if aboard.runs.len() == 1 && !aboard.others => Blame::Culprit,
            _ => Blame::Suspect,
        }
    }

    /// The loss of the attempt with this handle, which was in flight.
    pub(crate) fn loss(&self, run: u32, aboard: &Aboard) -> AttemptLost {
        AttemptLost::new(self.blame(run, aboard), self.cause.clone())
    }
}

/// The payload of LOST.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Lost {
    pub(crate) blame: Blame,
    pub(crate) cause: String,
}

impl From<AttemptLost> for Lost {
    fn from(lost: AttemptLost) -> Self {
        Self { blame: lost.blame, cause: lost.cause }
    }
}

impl From<Lost> for AttemptLost {
    fn from(lost: Lost) -> Self {
        Self::new(lost.blame, lost.cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blames(guilt: Guilt, runs: &[(u32, bool)], others: bool) -> Vec<Blame> {
        let aboard = Aboard { runs: runs.to_vec(), others };
        let ending = Ending::new(guilt, "signal: 9 (SIGKILL)");
        runs.iter().map(|(run, _)| ending.blame(*run, &aboard)).collect()
    }

    #[test]
    fn the_blame_is_the_runs_that_was_alone_or_suspected_or_caught() {
        use Blame::{Bystander, Culprit, Suspect};
        assert_eq!(blames(Guilt::Unknown, &[(1, false)], false), [Culprit]);
        assert_eq!(blames(Guilt::Unknown, &[(1, false)], true), [Suspect]);
        assert_eq!(blames(Guilt::Unknown, &[(1, false), (2, false)], false), [Suspect, Suspect]);
        assert_eq!(blames(Guilt::Unknown, &[(1, false), (2, true)], false), [Bystander, Culprit]);
        assert_eq!(blames(Guilt::Unknown, &[(1, true), (2, true)], false), [Suspect, Suspect]);
        assert_eq!(blames(Guilt::Run(2), &[(1, true), (2, false)], false), [Bystander, Culprit]);
        assert_eq!(blames(Guilt::Nobody, &[(1, false)], false), [Bystander]);
    }
}
