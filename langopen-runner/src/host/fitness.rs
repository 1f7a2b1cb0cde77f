//! Whether a host still does for its runs what it should, whatever its event loop says.
//!
//! Two things make a host unfit: a cancelled run that does not end, and the host's own request to be replaced, which it
//! makes when too many of its threads go on with the code of runs that have ended. The pool takes an unfit host out of
//! service, starts another one in its place, and ends the old one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::run::CANCEL_GRACE;

/// What a host owes.
#[derive(Default)]
pub(crate) struct Fitness {
    /// Runs that were cancelled and whose end nobody waits for any more, with the moment by which the host has to end
    /// them.
    leaving: Mutex<HashMap<u32, Instant>>,
    asks: AtomicBool,
}

impl Fitness {
    /// A run was cancelled, and its reader is gone before its end came.
    pub(crate) fn is_leaving(&self, run: u32, until: Instant) {
        self.leaving.lock().insert(run, until);
    }

    /// The end came.
    pub(crate) fn has_ended(&self, run: u32) {
        self.leaving.lock().remove(&run);
    }

    /// The host wants to be replaced.
    pub(super) fn asks_to_be_replaced(&self) {
        self.asks.store(true, Ordering::Relaxed);
    }

    /// Whether the host wants to be replaced. It may end by itself then.
    pub(crate) fn asked_to_be_replaced(&self) -> bool {
        self.asks.load(Ordering::Relaxed)
    }

    /// Whether code of runs goes on that are over for everybody else.
    pub(crate) fn has_left_behind(&self) -> bool {
        !self.leaving.lock().is_empty() || self.asked_to_be_replaced()
    }

    /// Why the host must be replaced, if it must.
    pub(crate) fn failure(&self) -> Option<String> {
        let now = Instant::now();
        let overdue = self.leaving.lock().values().filter(|until| **until <= now).count();
        if overdue > 0 {
            return Some(format!("it did not end {overdue} cancelled runs within {} s", CANCEL_GRACE.as_secs()));
        }
        self.asked_to_be_replaced().then(|| "too many of its threads go on with runs that have ended".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_host_is_unfit_that_does_not_end_its_runs() {
        let fitness = Fitness::default();
        fitness.is_leaving(1, Instant::now() + Duration::from_secs(3600));
        assert!(fitness.failure().is_none() && fitness.has_left_behind());
        fitness.is_leaving(1, Instant::now());
        assert!(fitness.failure().is_some());
        fitness.has_ended(1);
        assert!(fitness.failure().is_none() && !fitness.has_left_behind());
        fitness.asks_to_be_replaced();
        assert!(fitness.failure().is_some() && fitness.has_left_behind());
    }
}
