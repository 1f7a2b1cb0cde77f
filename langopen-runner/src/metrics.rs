//! The names of this crate's metrics.

use ::metrics::{Unit, describe_counter, describe_gauge};

pub(crate) const HOSTS_UP: &str = "langopen_graph_hosts_up";
pub(crate) const HOST_RESTARTS: &str = "langopen_graph_host_restarts_total";
pub(crate) const HOST_LOAD: &str = "langopen_graph_host_load";

/// Describes this crate's metrics to the recorder of the `metrics` crate that is installed. Call it once, after installing one.
pub fn describe_metrics() {
    describe_gauge!(HOSTS_UP, Unit::Count, "Graph hosts that are ready for work.");
    describe_counter!(HOST_RESTARTS, Unit::Count, "Graph hosts that were started again after one was gone.");
    describe_gauge!(HOST_LOAD, Unit::Count, "Runs and calls in flight on graph hosts, by host.");
}
