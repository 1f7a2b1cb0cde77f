//! The run state machine: every status, and every change of status that is allowed.
//!
//! ```text
//! pending ──claim──► running ──finish──► success | error | timeout
//!    ▲                  │
//!    └─────release──────┤
//!    │                  │
//!    └──cancel──────────┴──cancel──────► interrupted
//! ```
//! A rolled-back run leaves the table, so it has no status here.

use serde::{Deserialize, Serialize};

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// Waiting to be claimed.
    Pending,
    /// Claimed by a worker that holds its lease.
    Running,
    /// Failed.
    Error,
    /// Ended; also when it stopped at an interrupt of the graph.
    Success,
    /// Ran longer than allowed.
    Timeout,
    /// Cancelled or superseded.
    Interrupted,
}

/// What happens to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEvent {
    /// A worker takes it.
    Claim,
    /// Its worker hands it back, or lost its lease.
    Release,
    /// The graph ended.
    Succeed,
    /// The graph failed for good.
    Fail,
    /// It ran too long.
    TimeOut,
    /// Someone cancelled it, or a newer run superseded it.
    Cancel,
}

impl RunStatus {
    /// Every status.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Running, Self::Error, Self::Success, Self::Timeout, Self::Interrupted];

    /// The status after `event`, or `None` if the event cannot happen here.
    pub fn after(self, event: RunEvent) -> Option<Self> {
        match (self, event) {
            (Self::Pending, RunEvent::Claim) => Some(Self::Running),
            (Self::Pending | Self::Running, RunEvent::Cancel) => Some(Self::Interrupted),
            (Self::Running, RunEvent::Release) => Some(Self::Pending),
            (Self::Running, RunEvent::Succeed) => Some(Self::Success),
            (Self::Running, RunEvent::Fail) => Some(Self::Error),
            (Self::Running, RunEvent::TimeOut) => Some(Self::Timeout),
            _ => None,
        }
    }

    /// Whether nothing can happen to it any more.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }

    /// The name on the wire and in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Error => "error",
            Self::Success => "success",
            Self::Timeout => "timeout",
            Self::Interrupted => "interrupted",
        }
    }

    /// Reads [`RunStatus::as_str`].
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_run_never_changes() {
        let events = [
            RunEvent::Claim,
            RunEvent::Release,
            RunEvent::Succeed,
            RunEvent::Fail,
            RunEvent::TimeOut,
            RunEvent::Cancel,
        ];
        for status in RunStatus::ALL.into_iter().filter(|status| status.is_terminal()) {
            assert!(events.iter().all(|event| status.after(*event).is_none()), "{status:?}");
        }
    }

    #[test]
    fn names_round_trip() {
        for status in RunStatus::ALL {
            assert_eq!(RunStatus::parse(status.as_str()), Some(status));
        }
    }
}
