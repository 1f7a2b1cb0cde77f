//! The names of this crate's metrics.

use ::metrics::{Unit, describe_counter, describe_gauge};

pub(crate) const HOSTS_UP: &str = "langopen_graph_hosts_up";
pub(crate) const HOST_RESTARTS: &str = "langopen_graph_host_restarts_total";
pub(crate) const HOST_LOAD: &str = "langopen_graph_host_load";
pub(crate) const RUNNERS_UP: &str = "langopen_runners_up";
pub(crate) const RUNNER_LOAD: &str = "langopen_runner_load";
pub(crate) const RUNNER_CLIENTS: &str = "langopen_runner_clients";

/// Describes this crate's metrics to the installed recorder of the `metrics` crate. Call it once, after you install the
/// recorder.
pub fn describe_metrics() {
    describe_gauge!(HOSTS_UP, Unit::Count, "Graph hosts that are ready for work.");
    describe_counter!(HOST_RESTARTS, Unit::Count, "Restarts of graph hosts.");
    describe_gauge!(HOST_LOAD, Unit::Count, "Runs and calls in flight on graph hosts, by host.");
    describe_gauge!(RUNNERS_UP, Unit::Count, "Runners that this process is connected to.");
    describe_gauge!(RUNNER_LOAD, Unit::Count, "Runs and calls of this process in flight on runners, by runner.");
    describe_gauge!(RUNNER_CLIENTS, Unit::Count, "Workers and API servers that are connected to this runner.");
}
