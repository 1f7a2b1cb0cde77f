//! The faults and their schedule.

mod act;
mod kinds;
mod schedule;

use serde::{Serialize, Serializer};

pub(crate) use kinds::{Fault, available};
pub(crate) use schedule::{Breaking, heal};

/// A fault that was made.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Incident {
    #[serde(serialize_with = "by_name")]
    pub(crate) fault: Fault,
    /// The target, for example `worker-2`.
    pub(crate) what: String,
    /// The process id of the graph host that the fault hit, if it hit one.
    pub(crate) host: Option<i32>,
    /// Nanoseconds on the machine's monotonic clock, as the graphs write them.
    pub(crate) from: u128,
    pub(crate) until: u128,
}

fn by_name<S: Serializer>(fault: &Fault, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&fault.name())
}

/// The time on the machine's monotonic clock. All processes share it, and no fault changes it.
pub(crate) fn nanos() -> u128 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u128::from(now.tv_sec.unsigned_abs()) * 1_000_000_000 + u128::from(now.tv_nsec.unsigned_abs())
}
