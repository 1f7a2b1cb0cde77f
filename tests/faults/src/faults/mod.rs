//! What is broken, and when.

mod act;
mod kinds;
mod schedule;

use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

pub(crate) use kinds::{Fault, available};
pub(crate) use schedule::{Breaking, heal};

/// A fault that was made.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Incident {
    #[serde(serialize_with = "by_name")]
    pub(crate) fault: Fault,
    /// What was broken, e.g. `worker-2`.
    pub(crate) what: String,
    /// Nanoseconds since the Unix epoch, as the graphs write them.
    pub(crate) from: u128,
    pub(crate) until: u128,
}

fn by_name<S: Serializer>(fault: &Fault, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&fault.name())
}

/// The moment on the machine's clock, which nothing here changes.
#[expect(clippy::disallowed_methods, reason = "what the graphs write is compared with it")]
pub(crate) fn nanos() -> u128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_nanos()
}
