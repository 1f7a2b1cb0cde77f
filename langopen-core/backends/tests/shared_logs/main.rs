//! The event logs that processes share, and signals between processes, over real servers.

mod conformance;
mod outages;
mod server;
mod sharing;
mod signals;
mod support;
mod tls;
