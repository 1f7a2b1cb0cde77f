//! Lost attempts: whether the worker makes another one, whether the lost one counts, and when the run ends.

use langopen_core::executor::{AttemptLost, Blame};
use langopen_core::model::RunError;
use langopen_core::queue::Losses;

/// The number of attempts of one run that may stay uncounted. A suspect executes alone, so few runs reach this limit.
const MOST_EXCUSED: u32 = 16;

/// The number of graph hosts that a run may end. After the first, the run executes in a host of its own.
const MOST_KILLED: u32 = 2;

/// The consequence of a lost attempt.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Another attempt, with this record of the lost ones.
    Retry(Losses),
    /// The run ends with this error.
    GiveUp(RunError),
}

/// The number of attempts that count towards `max_attempts`.
pub(crate) fn counted(attempt: u32, losses: Losses) -> u32 {
    attempt.saturating_sub(losses.excused)
}

/// Judges the loss of `attempt`, out of `most` counted ones. `lost` is the executor's report of the loss, if it made
/// one.
pub(crate) fn judge(attempt: u32, most: u32, before: Losses, lost: Option<&AttemptLost>) -> Verdict {
    let (excused, suspected) = match lost.map(|lost| lost.blame) {
        None => (0, 0),
        Some(Blame::Culprit) => (0, 1),
        Some(Blame::Suspect) => (1, 1),
        // A kind of blame that this worker does not know is no proof against the run.
        Some(_) => (1, 0),
    };
    let losses = Losses {
        excused: (before.excused + excused).min(MOST_EXCUSED.max(before.excused)),
        suspected: before.suspected.saturating_add(suspected),
    };
    if let Some(AttemptLost { blame: Blame::Culprit, cause, .. }) = lost
        && losses.suspected >= MOST_KILLED
    {
        let message = format!("the run ended its graph host {} times; the last cause: {cause}", losses.suspected);
        return Verdict::GiveUp(RunError { error: "GraphHostDied".to_owned(), message });
    }
    if counted(attempt, losses) < most {
        return Verdict::Retry(losses);
    }
    Verdict::GiveUp(RunError { error: "RunLost".to_owned(), message: "An internal error occurred".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(blame: Blame) -> Option<AttemptLost> {
        Some(AttemptLost::new(blame, "signal: 9 (SIGKILL)"))
    }

    fn follow(blames: &[Option<AttemptLost>]) -> Verdict {
        let mut losses = Losses::default();
        for (attempt, blame) in (1..).zip(blames) {
            match judge(attempt, 4, losses, blame.as_ref()) {
                Verdict::Retry(more) => losses = more,
                end => return end,
            }
        }
        Verdict::Retry(losses)
    }

    #[test]
    fn a_run_that_ends_its_host_twice_is_given_up() {
        for first in [Blame::Suspect, Blame::Culprit] {
            let Verdict::GiveUp(error) = follow(&[lost(first), lost(Blame::Culprit)]) else { panic!("{first:?}") };
            assert_eq!(error.error, "GraphHostDied");
            assert!(error.message.contains("2 times") && error.message.contains("SIGKILL"), "{}", error.message);
        }
        assert_eq!(follow(&[lost(Blame::Culprit)]), Verdict::Retry(Losses { excused: 0, suspected: 1 }));
    }

    #[test]
    fn a_bystander_loses_no_attempt_and_is_bounded_all_the_same() {
        let beside = vec![lost(Blame::Bystander); 10];
        assert_eq!(follow(&beside), Verdict::Retry(Losses { excused: 10, suspected: 0 }));
        assert!(
            matches!(follow(&vec![lost(Blame::Bystander); 100]), Verdict::GiveUp(error) if error.error == "RunLost")
        );
    }

    #[test]
    fn a_loss_without_a_known_cause_counts() {
        assert!(matches!(follow(&[None, None, None]), Verdict::Retry(losses) if losses == Losses::default()));
        assert!(matches!(follow(&[None, None, None, None]), Verdict::GiveUp(error) if error.error == "RunLost"));
        let mixed = [None, lost(Blame::Bystander), None, None];
        assert!(matches!(follow(&mixed), Verdict::Retry(_)), "the second one did not count");
    }
}
