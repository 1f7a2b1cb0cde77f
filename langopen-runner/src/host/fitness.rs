//! Whether a host still serves its runs properly, even if its event loop responds.
//!
//! Two things make a host unfit: a cancelled run that does not end, and the host's own request to be replaced. A host
//! sends that request when too many of its threads still execute code of runs that have ended. The pool takes an unfit
//! host out of service, starts another one in its slot, and ends the old one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::run::CANCEL_GRACE;

/// The unfinished obligations of a host.
#[derive(Default)]
pub(crate) struct Fitness {
    /// Cancelled runs whose readers have stopped waiting, each with the deadline for its end.
    leaving: Mutex<HashMap<u32, Instant>>,
    asks: AtomicBool,
}

impl Fitness {
    /// Records a cancelled run whose reader stopped before the run's end.
    pub(crate) fn is_leaving(&self, run: u32, until: Instant) {
        self.leaving.lock().insert(run, until);
    }

    /// Records the end of a run.
    pub(crate) fn has_ended(&self, run: u32) {
        self.leaving.lock().remove(&run);
    }

    /// Records that the host requests its replacement.
    pub(super) fn asks_to_be_replaced(&self) {
        self.asks.store(true, Ordering::Relaxed);
    }

    /// Whether the host has requested its replacement. It may then end by itself.
    pub(crate) fn asked_to_be_replaced(&self) -> bool {
        self.asks.load(Ordering::Relaxed)
    }

    /// Whether the host still executes code of runs that have ended for everyone else.
    pub(crate) fn has_left_behind(&self) -> bool {
        !self.leaving.lock().is_empty() || self.asked_to_be_replaced()
    }

    /// Why the host must be replaced; `None` if it is fit.
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
