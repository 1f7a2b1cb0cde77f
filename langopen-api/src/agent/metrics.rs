//! The metrics of this API, and the content of `/metrics`.

use std::fmt;
use std::sync::Arc;

use ::metrics::{Unit, counter, describe_counter};
use langopen_core::model::Run;
use tracing::Span;

use crate::http::observe::describe_requests;

const RUNS_CREATED: &str = "langopen_runs_created_total";

/// Describes this crate's metrics to the installed recorder of the `metrics` crate. Call it once, after you install a
/// recorder.
pub fn describe_metrics() {
    describe_requests();
    describe_counter!(RUNS_CREATED, Unit::Count, "Runs created through the API, by graph.");
}

/// Adds a run that the request has created to everything that the request logs from now on, and counts the run.
pub(crate) fn record_created(run: &Run) {
    let span = Span::current();
    span.record("run_id", tracing::field::display(run.run_id));
    span.record("thread_id", tracing::field::display(run.thread_id));
    span.record("assistant_id", tracing::field::display(run.assistant_id));
    span.record("graph_id", run.graph_id.as_str());
    counter!(RUNS_CREATED, "graph_id" => run.graph_id.clone()).increment(1);
}

/// The load of the workers in this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkerCounts {
    /// The maximum number of runs that they execute at once.
    pub max: usize,
    /// The number of runs that they execute now.
    pub active: usize,
}

/// The content of `/metrics`, in addition to the queue's figures.
///
/// This crate emits its metrics through the facade of the `metrics` crate, to the recorder that the process has
/// installed. To show them at `/metrics`, pass a function that renders the recorder's text:
///
/// ```
/// # struct Handle;
/// # impl Handle { fn render(&self) -> String { String::new() } }
/// # let handle = Handle;
/// // `handle` belongs to the recorder, e.g. a `metrics_exporter_prometheus::PrometheusHandle`.
/// let metrics = langopen_api::Metrics::default().with_exposition(move || handle.render());
/// ```
#[derive(Clone)]
pub struct Metrics {
    exposition: Option<Arc<dyn Fn() -> String + Send + Sync>>,
    workers: Option<Arc<dyn Fn() -> WorkerCounts + Send + Sync>>,
    prefix: String,
}

impl Metrics {
    /// Puts the text of `render`, in the Prometheus format, before the server's own figures.
    #[must_use]
    pub fn with_exposition(mut self, render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.exposition = Some(Arc::new(render));
        self
    }

    /// Reads the load of the workers in this process from `count`. Without it, `/metrics` shows no workers (0).
    #[must_use]
    pub fn with_workers(mut self, count: impl Fn() -> WorkerCounts + Send + Sync + 'static) -> Self {
        self.workers = Some(Arc::new(count));
        self
    }

    /// Sets the prefix of the workers' gauges; the default is `lg_api_`. Characters that a metric's name cannot have
    /// become `_`.
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
