//! The settings of a worker.

use std::time::Duration;

use langopen_core::Tenant;
use langopen_core::model::ThreadTtl;

/// The settings of a worker.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WorkerSettings {
    /// The worker's name in leases and logs. It must be unique among the processes of an installation.
    pub name: String,
    /// The tenants whose runs the worker claims; `None` for all.
    pub tenants: Option<Vec<Tenant>>,
    /// The number of runs that the worker executes at once.
    pub concurrency: usize,
    /// The duration of a lease. The worker extends leases every third of it.
    pub lease: Duration,
    /// The number of counted attempts of a run. Failures of the platform cause further attempts; failures of the graph
    /// do not.
    pub max_attempts: u32,
    /// The time after which an attempt ends with the status `timeout`.
    pub run_timeout: Duration,
    /// The time that runs in flight have to end after the worker was asked to stop.
    pub grace: Duration,
    /// Whether the worker fires crons. If several workers do, each due time still fires once.
    pub crons: bool,
    /// The lifetime of threads that crons create; `None` if they do not expire.
    pub thread_ttl: Option<ThreadTtl>,
    /// The pause between two sweeps of expired threads.
    pub thread_sweep_interval: Duration,
    /// The most threads per sweep.
    pub thread_sweep_limit: u32,
    /// The pause between two sweeps of expired store items.
    pub item_sweep_interval: Duration,
}

langopen_core::setters! {
    WorkerSettings {
        with_name name: String,
        with_tenants tenants: Option<Vec<Tenant>>,
        with_concurrency concurrency: usize,
        with_lease lease: Duration,
        with_max_attempts max_attempts: u32,
        with_run_timeout run_timeout: Duration,
        with_grace grace: Duration,
        with_crons crons: bool,
        with_thread_ttl thread_ttl: Option<ThreadTtl>,
        with_thread_sweep_interval thread_sweep_interval: Duration,
        with_thread_sweep_limit thread_sweep_limit: u32,
        with_item_sweep_interval item_sweep_interval: Duration,
    }
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
