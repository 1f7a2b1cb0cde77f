//! An exporter that renames spans for OpenTelemetry, and limits how often it warns about an unreachable collector.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_otlp::SpanExporter as OtlpExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tracing::{info, warn};

use super::present::{is_probe, present};

/// The shortest time between two warnings. A collector that is down fails every batch.
const WARN_EVERY: Duration = Duration::from_secs(300);

/// Sends spans over OTLP. It logs its failures and does not pass them on.
#[derive(Debug)]
pub(super) struct Exporter {
    inner: OtlpExporter,
    /// Whether the spans come from `tracing` and need OpenTelemetry's names.
    ours: bool,
    trouble: Mutex<Trouble>,
}

/// The losses since the collector's last answer.
#[derive(Debug, Default)]
struct Trouble {
    lost: u64,
    warned: Option<Instant>,
}

impl Exporter {
    /// Creates the exporter of this process's own spans.
    pub(super) fn of_ours(inner: OtlpExporter) -> Self {
        Self { inner, ours: true, trouble: Mutex::default() }
    }

    /// Creates the exporter of the spans that graph hosts report.
    pub(super) fn of_hosts(inner: OtlpExporter) -> Self {
        Self { inner, ours: false, trouble: Mutex::default() }
    }

    fn note(&self, spans: u64, outcome: OTelSdkResult) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let Err(error) = outcome else {
            if trouble.lost > 0 {
                info!(lost = trouble.lost, "the trace collector is reachable again");
                *trouble = Trouble::default();
            }
            return;
        };
        trouble.lost += spans;
        if trouble.warned.is_none_or(|at| at.elapsed() >= WARN_EVERY) {
            trouble.warned = Some(Instant::now());
            warn!(
                %error,
                lost = trouble.lost,
                "traces cannot be exported and are lost; check OTEL_EXPORTER_OTLP_ENDPOINT and the collector at that address"
            );
        }
    }
}

impl SpanExporter for Exporter {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        if self.ours {
            batch.retain(|span| !is_probe(span));
            batch.iter_mut().for_each(present);
        }
        if batch.is_empty() {
            return Ok(());
        }
        let spans = batch.len() as u64;
        let outcome = self.inner.export(batch).await;
        self.note(spans, outcome);
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
