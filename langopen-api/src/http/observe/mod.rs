//! Observability of requests: a span and a log line for each, and metrics.

mod body;
mod layer;
mod metrics;

use langopen_core::Tenant;
use tracing::Span;

pub(crate) use layer::{Observed, RequestId, observe, trace_context};
pub(crate) use metrics::describe_requests;

/// Adds the tenant to everything that the request logs from now on.
pub(crate) fn record_tenant(tenant: &Tenant) {
    let span = Span::current();
    span.record("organization", tenant.organization());
    span.record("project", tenant.project());
    span.record("deployment", tenant.deployment());
}
