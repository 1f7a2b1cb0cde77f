//! Through a Redis server: live copies of events, and signals between processes.

mod connection;
mod keys;
mod live;
mod signals;
mod subscriber;

pub use live::RedisLive;
pub use signals::RedisSignals;
