use std::fmt::Write;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::header;
use langopen_core::queue::QueueStats;
use serde::Serialize;
use utoipa::ToSchema;

use crate::agent::App;
use crate::agent::error::{ApiError, ApiResult, ErrorResponse};
use crate::agent::metrics::WorkerCounts;
use crate::http::extract::Query;
use crate::http::reached::Reached;

/// The figures of the server.
#[derive(Serialize, ToSchema)]
#[schema(as = ServerMetrics)]
struct Figures {
    #[schema(inline)]
    queue: QueueFigures,
    #[schema(inline)]
    api: ApiFigures,
    #[schema(inline)]
    workers: WorkerFigures,
}

/// The runs in flight, of all tenants.
#[derive(Serialize, ToSchema)]
struct QueueFigures {
    n_pending: u64,
    pending_runs_wait_time_max_secs: Option<f64>,
    pending_runs_wait_time_med_secs: Option<f64>,
    pending_unblocked_runs_wait_time_max_secs: Option<f64>,
    n_running: u64,
}

/// Always empty: only the Prometheus format counts requests.
#[derive(Serialize, ToSchema)]
struct ApiFigures {
    http_requests_total: Vec<serde_json::Value>,
}

/// The load of the workers in this process.
#[derive(Serialize, ToSchema)]
struct WorkerFigures {
    max: usize,
    active: usize,
    available: usize,
}

/// System Metrics
///
/// Returns all metrics in the Prometheus text format, or the most important ones as JSON.
#[utoipa::path(
    get, path = "/metrics", tag = "Meta", operation_id = "get_metrics",
    params(("format" = inline(Option<Format>), Query, description = "The format; `prometheus` by default")),
    responses(
        (status = 200, description = "The metrics", content(
            (String = "text/plain"),
            (Figures = "application/json"),
        )),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn get_metrics(
    State(app): State<App>,
    reached: Option<Extension<Reached>>,
    query: Query,
) -> ApiResult<Response> {
    // The metrics belong to the whole process, with all its deployments.
    if reached.is_some_and(|reached| reached.named) {
        return Err(ApiError::not_found("Not Found"));
    }
    let format = Format::of(&query)?;
    let (stats, workers) = (app.queue.stats().await?, app.metrics.workers());
    Ok(match format {
        Format::Json => Json(Figures::new(&stats, workers)).into_response(),
        Format::Prometheus => {
            let mut text = app.metrics.exposition();
            write(&mut text, app.metrics.prefix(), &stats, workers);
            ([(header::CONTENT_TYPE, "text/plain; version=1.0.0; charset=utf-8")], text).into_response()
        }
    })
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[schema(default = "prometheus")]
enum Format {
    Prometheus,
    Json,
}

impl Format {
    fn of(query: &Query) -> ApiResult<Self> {
        match query.last("format") {
            None | Some("prometheus") => Ok(Self::Prometheus),
            Some("json") => Ok(Self::Json),
            Some(other) => Err(ApiError::invalid(format!("format: expected prometheus or json, found {other:?}"))),
        }
    }
}

impl Figures {
    fn new(stats: &QueueStats, workers: WorkerCounts) -> Self {
        let seconds = |wait: Option<Duration>| wait.map(|wait| wait.as_secs_f64());
        let WorkerCounts { max, active } = workers;
        Self {
            queue: QueueFigures {
                n_pending: stats.pending,
                pending_runs_wait_time_max_secs: seconds(stats.wait_max),
                pending_runs_wait_time_med_secs: seconds(stats.wait_median),
                pending_unblocked_runs_wait_time_max_secs: seconds(stats.unblocked_wait_max),
                n_running: stats.running,
            },
            api: ApiFigures { http_requests_total: Vec::new() },
            workers: WorkerFigures { max, active, available: max.saturating_sub(active) },
        }
    }
}

/// Adds the figures that the server reads on demand. A wait time that no run has is 0.
fn write(text: &mut String, prefix: &str, stats: &QueueStats, workers: WorkerCounts) {
    let seconds = |wait: Option<Duration>| wait.unwrap_or_default().as_secs_f64();
    let WorkerCounts { max, active } = workers;
    let mut gauge = |prefix: &str, name: &str, help: &str, value: f64| {
        // A write to memory does not fail.
        let _ = write!(text, "# HELP {prefix}{name} {help}\n# TYPE {prefix}{name} gauge\n{prefix}{name} {value}\n");
    };
    gauge(prefix, "workers_max", "Runs that the workers of this process execute at once.", max as f64);
    gauge(prefix, "workers_active", "Runs that these workers execute now.", active as f64);
    gauge(
        prefix,
        "workers_available",
        "Further runs that these workers could execute now.",
        max.saturating_sub(active) as f64,
    );
    let queue = "langopen_queue_";
    gauge(queue, "pending_runs", "Pending runs, including those that are not due yet.", stats.pending as f64);
    gauge(queue, "running_runs", "Runs that a worker holds.", stats.running as f64);
    gauge(queue, "wait_max_seconds", "The longest wait of a due run.", seconds(stats.wait_max));
    gauge(queue, "wait_median_seconds", "The median wait of due runs.", seconds(stats.wait_median));
    let help = "The longest wait of a due run that only waits for a worker.";
    gauge(queue, "unblocked_wait_max_seconds", help, seconds(stats.unblocked_wait_max));
}
