//! Parts that fail on purpose: the decorator, and the run state machine through it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[cfg(feature = "postgres")]
#[expect(dead_code, reason = "what only the backends' own suite asks for")]
#[path = "../backends/postgres/database.rs"]
mod database;
mod decorator;
mod driver;
mod model;
mod run_states;
mod steps;
