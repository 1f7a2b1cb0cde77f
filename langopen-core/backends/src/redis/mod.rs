//! On a Redis server: the event log, and signals between processes.

mod connection;
mod event_log;
mod keys;
mod log_store;
mod pages;
mod renew;
mod signals;
mod subscriber;
mod told;

pub use event_log::{RedisEventLog, RedisLogOptions};
#[cfg(feature = "postgres")]
pub(crate) use log_store::{NotDone, RedisStore};
pub use signals::RedisSignals;
