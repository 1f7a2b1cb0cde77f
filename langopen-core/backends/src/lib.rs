//! Ready implementations of the traits of [`langopen_core`], one feature each.
//!
//! | feature | module | implements |
//! | --- | --- | --- |
//! | `memory` | `memory` | storage, queue, outbox and event log in the process's memory |
//! | `sqlite` | `sqlite` | storage, queue, outbox and event log in one SQLite file |
//! | `postgres` | `postgres` | storage, queue, outbox, event log and signals in a Postgres that many processes share |
//! | `redis` | `redis` | signals, and live copies of the events in Postgres, through a shared Redis |
//!
//! [`rules`] holds the decisions that every backend makes in the same way; a backend of your own can use it.
//! [`live_copies`] is the trait by which a message broker of your own can carry live copies of events.
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

pub mod live_copies;
#[cfg(any(feature = "memory", feature = "sqlite", feature = "postgres"))]
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
#[cfg(feature = "postgres")]
mod shared_log;
pub mod signals;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql_rows;
#[cfg(feature = "sqlite")]
pub mod sqlite;

#[cfg(feature = "sqlite")]
pub use metrics::describe_metrics;
