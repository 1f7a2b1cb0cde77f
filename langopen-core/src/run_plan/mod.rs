//! Turns a client's request into a run for the queue.
//!
//! A run is its request over its assistant, with what the server adds: the caller, the time and the thread. Every run
//! is planned here, whether an API request or a cron creates it. Validation and authorization happen before.

mod config;
mod kwargs;
mod plan;
mod request;

pub use config::{mirror, without_reserved_metadata};
pub use plan::{RunPlan, TargetThread};
pub use request::{CheckpointRef, Durability, IfNotExists, RunRequest, StreamMode, stream_modes};
