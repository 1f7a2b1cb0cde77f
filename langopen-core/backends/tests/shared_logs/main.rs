//! The event log that processes share, with live copies and signals between processes, over real servers.

mod conformance;
mod liar;
mod outages;
mod server;
mod sharing;
mod signals;
mod support;
mod tls;
