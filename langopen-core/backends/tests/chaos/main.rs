//! Components that fail on purpose: tests of the decorator, and of the run state machine behind it.
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
mod suites;
