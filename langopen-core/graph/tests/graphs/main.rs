//! Graphs in Rust, by the executor's public face: what runs say, and what threads keep.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod flow;
mod messages;
mod questions;
mod shape;
mod states;
mod thread;
