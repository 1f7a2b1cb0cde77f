//! Traces that continue from part to part.

mod span;
mod trace;

pub use span::{AttributeValue, HostSpan, run_ids};
pub use trace::{Propagator, TraceContext, adopt, context_of, report, set_propagator};
