//! From what a client asked for to a run that the queue can take.
//!
//! A run is its request over its assistant, and what the server adds: who asked, when, and where it runs. Every run is planned here, whoever asks
//! for it: a request over HTTP, or a cron whose time has come. What may be asked, and of whom, is decided before.

mod config;
mod kwargs;
mod plan;
mod request;

pub use config::{mirror, without_reserved_metadata};
pub use plan::{Place, RunPlan};
pub use request::{CheckpointRef, Durability, IfNotExists, RunRequest, StreamMode, stream_modes};
