//! Signals between the parts of one process, and the message format that signals over Redis and Postgres share.

#[cfg(any(feature = "redis", feature = "postgres"))]
mod batch;
mod local;

#[cfg(any(feature = "redis", feature = "postgres"))]
pub(crate) use batch::{Outbound, received};
pub use local::LocalSignals;
