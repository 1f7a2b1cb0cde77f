//! Real graph hosts: an environment for the test application, host processes, and the memory backend.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod hostile;
mod javascript;
mod local;
mod remote;
mod support;
