//! Signs of life of a host, and its status.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// The times of the last PING and of the last answered PING, in milliseconds since `start`; 0 for never.
pub(super) struct Health {
    start: Instant,
    asked: AtomicU64,
    answered: AtomicU64,
}

/// The status of the hosts at the other end of a connection, as in STATUS. The connection of a single host has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    /// The number of hosts that have loaded their graphs.
    pub(crate) hosts: u32,
    /// The number of those whose event loops are not blocked by graphs.
    pub(crate) responsive: u32,
    /// Whether the other end is about to end. Clients then send new runs elsewhere.
    pub(crate) draining: bool,
}

impl Status {
    pub(crate) const ONE_HOST: Self = Self { hosts: 1, responsive: 1, draining: false };
}

impl Health {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), asked: AtomicU64::new(0), answered: AtomicU64::new(0) }
    }

    /// The payload for a PING that may be sent now; `None` while one is unanswered.
    pub(super) fn question(&self) -> Option<u64> {
        (self.answered.load(Ordering::Relaxed) >= self.asked.load(Ordering::Relaxed)).then(|| self.now())
    }

    /// The payload of the last PING.
    pub(super) fn open_question(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    pub(super) fn asked(&self, mark: u64) {
        self.asked.store(mark, Ordering::Relaxed);
    }

    pub(super) fn answered(&self, mark: u64) {
        self.answered.store(mark, Ordering::Relaxed);
    }

    /// How long an answer has been missing, in milliseconds.
    pub(super) fn silent_for(&self) -> u64 {
        let (asked, answered) = (self.asked.load(Ordering::Relaxed), self.answered.load(Ordering::Relaxed));
        if answered < asked { self.now().saturating_sub(asked) } else { 0 }
    }

    fn now(&self) -> u64 {
        // Never 0, because 0 means never.
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }
}
