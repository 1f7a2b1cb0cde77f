//! The metrics recorder of this process. It collects the metrics of all parts for `/metrics`.

use std::time::Duration;

use langopen_api::Metrics;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;

/// Buckets from a millisecond (requests) to minutes (runs).
const SECONDS: [f64; 17] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0];
/// Buckets of database writes, from 100 microseconds.
const WRITE_SECONDS: [f64; 12] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];
const SIZES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// How often the recorder moves new values into its buckets, even if no client reads `/metrics`.
const UPKEEP: Duration = Duration::from_secs(5);

/// The collector of this process's metrics.
#[derive(Clone)]
pub(crate) struct Recorder {
    handle: PrometheusHandle,
    process: Collector,
}

/// Installs the recorder. Metrics emitted before are lost. Call it within the runtime.
pub(crate) fn install() -> Result<Recorder, BuildError> {
    let suffix = |name: &str| Matcher::Suffix(name.to_owned());
    let recorder = PrometheusBuilder::new()
        .set_buckets(&SECONDS)?
        .set_buckets_for_metric(suffix("_write_batch_duration_seconds"), &WRITE_SECONDS)?
        .set_buckets_for_metric(suffix("_batch_size"), &SIZES)?
        .build_recorder();
    let handle = recorder.handle();
    ::metrics::set_global_recorder(recorder)?;
    langopen_backends::describe_metrics();
    langopen_api::describe_metrics();
    langopen_worker::describe_metrics();
    langopen_runner::describe_metrics();
    let process = Collector::default();
    process.describe();
    tokio::spawn({
        let handle = handle.clone();
        async move {
            loop {
                tokio::time::sleep(UPKEEP).await;
                handle.run_upkeep();
            }
        }
    });
    Ok(Recorder { handle, process })
}

impl Recorder {
    /// All metrics in the Prometheus text format.
    pub(crate) fn render(&self) -> String {
        self.process.collect();
        self.handle.render()
    }

    /// The metrics that `/metrics` of the API shows.
    pub(crate) fn shown(&self, prefix: &str) -> Metrics {
        let recorder = self.clone();
        Metrics::default().with_exposition(move || recorder.render()).with_prefix(prefix)
    }
}
