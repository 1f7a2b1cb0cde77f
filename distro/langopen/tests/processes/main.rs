//! The programs as processes: an API server, workers and runners on one Postgres and one Redis.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod deployments;
mod ends;
mod platform;
mod program;
mod services;
mod tls;
