//! A worker's figures.

use std::time::Duration;

use langopen_core::Tenant;
use langopen_core::model::ThreadTtl;

/// A worker's figures.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// Names the worker in leases and logs; unique among the processes of a platform.
    pub name: String,
    /// Whose runs it claims; `None` for anybody's.
    pub tenants: Option<Vec<Tenant>>,
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
    /// How long threads live that crons make; `None` for ever.
    pub thread_ttl: Option<ThreadTtl>,
    /// The pause between two looks for threads whose time is over.
    pub thread_sweep_interval: Duration,
    /// Most threads per look.
    pub thread_sweep_limit: u32,
    /// The pause between two looks for store items that have expired.
    pub item_sweep_interval: Duration,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            name: format!("worker-{}", std::process::id()),
            tenants: None,
            concurrency: 10,
            lease: Duration::from_secs(10),
            max_attempts: 4,
            run_timeout: Duration::from_secs(86_400),
            grace: Duration::from_secs(180),
            crons: true,
            thread_ttl: None,
            thread_sweep_interval: Duration::from_secs(300),
            thread_sweep_limit: 1000,
            item_sweep_interval: Duration::from_secs(300),
        }
    }
}
