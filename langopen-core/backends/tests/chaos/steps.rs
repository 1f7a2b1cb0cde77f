//! The calls on the queue, as data that proptest generates and shrinks.

use std::time::Duration;

use langopen_core::RunStatus;
use langopen_core::model::{CancelAction, MultitaskStrategy};
use langopen_core::queue::InFlight;
use proptest::prelude::*;

pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// The number of threads that the runs share.
pub(crate) const THREADS: usize = 3;

/// One call, or one jump of the clock. A number selects one of the earlier runs or claims, counted from the latest.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Enqueue {
        thread: usize,
        strategy: MultitaskStrategy,
        delay: u64,
    },
    EnqueueTemporary,
    Claim {
        max: usize,
    },
    Heartbeat {
        claims: Vec<usize>,
    },
    Finish {
        claim: usize,
        status: RunStatus,
        rollback: bool,
    },
    Release {
        claim: usize,
        delay: u64,
    },
    Cancel {
        run: usize,
        action: CancelAction,
    },
    CancelInFlight {
        which: InFlight,
        action: CancelAction,
    },
    DeleteRun {
        run: usize,
    },
    DeleteThread {
        thread: usize,
    },
    Jump {
        seconds: i64,
    },
    /// The clock advances.
    Pass {
        seconds: u64,
    },
}

fn strategy() -> impl Strategy<Value = MultitaskStrategy> {
    use MultitaskStrategy::{Enqueue, Interrupt, Reject, Rollback};
    prop_oneof![6 => Just(Enqueue), 1 => Just(Reject), 1 => Just(Interrupt), 1 => Just(Rollback)]
}

fn action() -> impl Strategy<Value = CancelAction> {
    prop_oneof![Just(CancelAction::Interrupt), Just(CancelAction::Rollback)]
}

fn end() -> impl Strategy<Value = RunStatus> {
    use RunStatus::{Error, Interrupted, Success, Timeout};
    prop_oneof![Just(Success), Just(Error), Just(Timeout), Just(Interrupted)]
}

/// Usually zero.
fn delay() -> impl Strategy<Value = u64> {
    prop_oneof![4 => Just(0), 1 => 1..15u64, 1 => 1..90u64]
}

fn step() -> impl Strategy<Value = Step> {
    let which = prop_oneof![Just(InFlight::Pending), Just(InFlight::Running), Just(InFlight::All)];
    // Usually one of the last claims and runs, sometimes an old one.
    let (claim, run) = (prop_oneof![4 => 0..4usize, 1 => 0..30usize], prop_oneof![4 => 0..4usize, 1 => 0..30usize]);
    prop_oneof![
        20 => (0..THREADS, strategy(), delay())
            .prop_map(|(thread, strategy, delay)| Step::Enqueue { thread, strategy, delay }),
        2 => Just(Step::EnqueueTemporary),
        16 => (1..4usize).prop_map(|max| Step::Claim { max }),
        6 => prop::collection::vec(0..6usize, 1..4).prop_map(|claims| Step::Heartbeat { claims }),
        14 => (claim.clone(), end(), prop::bool::weighted(0.2))
            .prop_map(|(claim, status, rollback)| Step::Finish { claim, status, rollback }),
        6 => (claim, delay()).prop_map(|(claim, delay)| Step::Release { claim, delay }),
        5 => (run.clone(), action()).prop_map(|(run, action)| Step::Cancel { run, action }),
        1 => (which, action()).prop_map(|(which, action)| Step::CancelInFlight { which, action }),
        2 => run.prop_map(|run| Step::DeleteRun { run }),
        1 => (0..THREADS).prop_map(|thread| Step::DeleteThread { thread }),
        12 => (0..45u64).prop_map(|seconds| Step::Pass { seconds }),
        6 => prop_oneof![1 => 0..45i64, 2 => -60..0i64].prop_map(|seconds| Step::Jump { seconds }),
    ]
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..80)
}
