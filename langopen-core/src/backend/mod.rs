//! Ready implementations of the traits.

#[cfg(all(feature = "redis", feature = "postgres"))]
pub mod failover;
#[cfg(feature = "memory")]
pub mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "memory")]
mod rules;
#[cfg(any(feature = "redis", feature = "postgres"))]
mod shared_log;
#[cfg(feature = "sqlite")]
pub mod sqlite;
