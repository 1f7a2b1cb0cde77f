//! What operators see: the metrics of the backends here, and traces that go on from part to part.

mod metrics;
mod span;
mod trace;

pub use metrics::describe_metrics;
#[cfg(feature = "sqlite")]
pub(crate) use metrics::{WRITE_BATCH_DURATION, WRITE_BATCH_SIZE, WRITE_FAILURES};
pub use span::{AttributeValue, HostSpan, run_ids};
pub use trace::{Propagator, TraceContext, adopt, context_of, report, set_propagator};
