//! The names of this crate's metrics, and what `/metrics` shows.

use std::fmt;
use std::sync::Arc;

use ::metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

pub(super) const REQUESTS: &str = "langopen_http_requests_total";
pub(super) const REQUEST_DURATION: &str = "langopen_http_request_duration_seconds";
pub(super) const REQUESTS_IN_FLIGHT: &str = "langopen_http_requests_in_flight";
pub(super) const STREAMS_OPEN: &str = "langopen_sse_streams_open";
pub(super) const RUNS_CREATED: &str = "langopen_runs_created_total";

/// Describes this crate's metrics to the recorder of the `metrics` crate that is installed. Call it once, after installing one.
pub fn describe_metrics() {
    describe_counter!(REQUESTS, Unit::Count, "HTTP requests answered, by method, route template and status.");
    describe_histogram!(
        REQUEST_DURATION,
        Unit::Seconds,
        "Time from a request to the head of its answer, by method, route template and status."
    );
    describe_gauge!(REQUESTS_IN_FLIGHT, Unit::Count, "Requests whose answer has not ended, streams included.");
    describe_gauge!(STREAMS_OPEN, Unit::Count, "Server-sent event streams that are open, by route template.");
    describe_counter!(RUNS_CREATED, Unit::Count, "Runs created through the API, by graph.");
}

/// What the workers of this process are doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkerCounts {
    /// How many runs they execute at once.
    pub max: usize,
    /// How many they execute now.
    pub active: usize,
}

/// What `/metrics` shows beside the queue's figures.
///
/// This crate emits its own metrics through the facade of the `metrics` crate, to whatever recorder the process has installed. The server shows
/// what that recorder has gathered only if it is told how to get the text:
///
/// ```
/// # struct Handle;
/// # impl Handle { fn render(&self) -> String { String::new() } }
/// # let handle = Handle;
/// // `handle` is a recorder's, e.g. `metrics_exporter_prometheus::PrometheusHandle`.
/// let metrics = langopen_api::Metrics::default().with_exposition(move || handle.render());
/// ```
#[derive(Clone)]
pub struct Metrics {
    exposition: Option<Arc<dyn Fn() -> String + Send + Sync>>,
    workers: Option<Arc<dyn Fn() -> WorkerCounts + Send + Sync>>,
    prefix: String,
}

impl Metrics {
    /// Puts this text, families in the Prometheus format, before the server's own figures.
    #[must_use]
    pub fn with_exposition(mut self, render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.exposition = Some(Arc::new(render));
        self
    }

    /// Asks for the workers that share this process; without it there are none to tell of.
    #[must_use]
    pub fn with_workers(mut self, count: impl Fn() -> WorkerCounts + Send + Sync + 'static) -> Self {
        self.workers = Some(Arc::new(count));
        self
    }

    /// Begins the names of the workers' gauges with `prefix` instead of `lg_api_`. What a metric's name cannot hold becomes `_`.
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        self.prefix = prefix.chars().map(|c| if fits(c) { c } else { '_' }).collect();
        if self.prefix.starts_with(|c: char| c.is_ascii_digit()) {
            self.prefix.insert(0, '_');
        }
        self
    }

    pub(crate) fn exposition(&self) -> String {
        self.exposition.as_ref().map(|render| render()).unwrap_or_default()
    }

    pub(crate) fn workers(&self) -> WorkerCounts {
        self.workers.as_ref().map(|count| count()).unwrap_or_default()
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self { exposition: None, workers: None, prefix: "lg_api_".to_owned() }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
