//! The event logs that processes share, over real servers.

mod conformance;
mod support;
