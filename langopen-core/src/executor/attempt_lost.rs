//! Why an executor lost a run.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Whether the run caused the loss of its attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Blame {
    /// The run ended the process that executed it. It executed alone, it was the only suspect, or it broke a rule of
    /// the host.
    Culprit,
    /// The run may have ended that process. Other runs executed in it, and the executor does not know which one is the
    /// cause.
    Suspect,
    /// The run did not cause the loss. Another run did, the executor ended the process, or the storage did not answer.
    Bystander,
}

/// Why an executor lost a run, as the source of an [`Error`] of kind `Unavailable`.
///
/// ```
/// use langopen_core::Error;
/// use langopen_core::executor::{AttemptLost, Blame};
///
/// let error = Error::from(AttemptLost::new(Blame::Culprit, "the graph host ended with signal: 9 (SIGKILL)"));
/// assert_eq!(AttemptLost::of(&error).unwrap().blame, Blame::Culprit);
/// assert!(error.is_retryable());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AttemptLost {
    /// Whether the run caused the loss.
    pub blame: Blame,
    /// The cause, for people: the signal or exit status of the process, or why the executor ended it.
    pub cause: String,
}

impl AttemptLost {
    /// The loss of one run's attempt.
    pub fn new(blame: Blame, cause: impl Into<String>) -> Self {
        Self { blame, cause: cause.into() }
    }

    /// The loss that an error carries.
    pub fn of(error: &Error) -> Option<&Self> {
        std::error::Error::source(error)?.downcast_ref()
    }
}

impl fmt::Display for AttemptLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)
    }
}

impl std::error::Error for AttemptLost {}

impl From<AttemptLost> for Error {
    fn from(lost: AttemptLost) -> Self {
        Error::unavailable("executor.execute", "the attempt was lost").with_source(lost)
    }
}
