//! The worker over the memory backend: its run loop, its scheduler of crons, and its dispatcher of webhooks.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod attempts;
mod bench;
mod chaos;
mod crons;
mod lost_hints;
mod runs;
mod webhooks;
