//! Observability of requests: a span and a log line for each, and metrics.

mod body;
mod layer;
mod metrics;

use langopen_core::Tenant;
use langopen_core::model::Run;
use tracing::Span;

pub use metrics::{Metrics, WorkerCounts, describe_metrics};

pub(crate) use layer::{RequestId, observe, trace_context};

/// Adds the tenant to everything that the request logs from now on.
pub(crate) fn record_tenant(tenant: &Tenant) {
    let span = Span::current();
    span.record("organization", tenant.organization());
    span.record("project", tenant.project());
    span.record("deployment", tenant.deployment());
}

/// Adds a run that the request has created to everything that the request logs from now on, and counts the run.
pub(crate) fn record_created(run: &Run) {
    let span = Span::current();
    span.record("run_id", tracing::field::display(run.run_id));
    span.record("thread_id", tracing::field::display(run.thread_id));
    span.record("assistant_id", tracing::field::display(run.assistant_id));
    span.record("graph_id", run.graph_id.as_str());
    ::metrics::counter!(metrics::RUNS_CREATED, "graph_id" => run.graph_id.clone()).increment(1);
}
