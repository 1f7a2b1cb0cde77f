//! Rust graphs through the executor's public API: the events of runs, and the stored states of threads.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod flow;
mod messages;
mod questions;
mod shape;
mod states;
mod thread;
