//! Ready implementations of the traits.

#[cfg(feature = "memory")]
pub mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "memory")]
mod rules;
#[cfg(feature = "sqlite")]
pub mod sqlite;
