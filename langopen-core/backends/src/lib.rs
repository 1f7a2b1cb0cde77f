//! Ready implementations of the traits of [`langopen_core`], one feature each.
//!
//! | feature | module | implements |
//! | --- | --- | --- |
//! | `memory` | `memory` | storage, queue, outbox and event log in the process's memory |
//! | `sqlite` | `sqlite` | storage, queue, outbox and event log in one SQLite file |
//! | `postgres` | `postgres` | storage, queue, outbox, event log and signals in a Postgres that many processes share |
//! | `redis` | `redis` | event log and signals on a Redis that many processes share |
//! | `postgres` and `redis` | `failover` | an event log on Redis that goes on in Postgres while Redis is gone |
//!
//! [`rules`] holds what every backend decides in the same way; a backend of your own can use it.
//!
//! ```
//! # #[cfg(feature = "memory")]
//! # async fn example() -> langopen_core::Result<()> {
//! use langopen_backends::memory::Memory;
//! use langopen_core::Queue;
//!
//! let memory = Memory::new();
//! assert_eq!(memory.stats().await?.pending, 0);
//! # Ok(())
//! # }
//! ```

// `sqlite::vectors` calls a C function, so unsafe code is denied here (workspace lints) and not forbidden.

#[cfg(all(feature = "redis", feature = "postgres"))]
pub mod failover;
#[cfg(any(feature = "memory", feature = "sqlite", feature = "redis", feature = "postgres"))]
mod live_log;
#[cfg(feature = "memory")]
pub mod memory;
#[cfg(feature = "sqlite")]
mod metrics;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "redis")]
pub mod redis;
pub mod rules;
#[cfg(any(feature = "redis", feature = "postgres"))]
mod shared_log;
pub mod signals;
#[cfg(feature = "sqlite")]
pub mod sqlite;

#[cfg(feature = "sqlite")]
pub use metrics::describe_metrics;
