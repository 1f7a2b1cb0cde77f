//! A worker's figures.

use std::time::Duration;

/// A worker's figures.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// Names the worker in leases and logs; unique among the processes of a platform.
    pub name: String,
    /// How many runs it executes at once.
    pub concurrency: usize,
    /// How long a lease lasts; it is extended three times as often.
    pub lease: Duration,
    /// How often a run is attempted when the platform, not the graph, fails.
    pub max_attempts: u32,
    /// How long a run may take.
    pub run_timeout: Duration,
    /// How long runs in flight may go on when the worker is told to stop.
    pub grace: Duration,
    /// Whether it fires crons. Of several workers that do, one fires each moment.
    pub crons: bool,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            name: format!("worker-{}", std::process::id()),
            concurrency: 10,
            lease: Duration::from_secs(10),
            max_attempts: 4,
            run_timeout: Duration::from_secs(86_400),
            grace: Duration::from_secs(180),
            crons: true,
        }
    }
}
