//! An exporter that gives spans their names, and says in measure when the collector cannot be reached.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_otlp::SpanExporter as OtlpExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tracing::{info, warn};

use super::present::{is_probe, present};

/// The shortest time between two warnings: a collector that is down is down for every batch.
const WARN_EVERY: Duration = Duration::from_secs(300);

/// Sends spans over OTLP. Its failures are told here and go no further.
#[derive(Debug)]
pub(super) struct Exporter {
    inner: OtlpExporter,
    /// Whether the spans come from `tracing`, by names of our own.
    ours: bool,
    trouble: Mutex<Trouble>,
}

/// What has been lost since the collector last answered.
#[derive(Debug, Default)]
struct Trouble {
    lost: u64,
    warned: Option<Instant>,
}

impl Exporter {
    /// For the spans that this process opens.
    pub(super) fn of_ours(inner: OtlpExporter) -> Self {
        Self { inner, ours: true, trouble: Mutex::default() }
    }

    /// For the spans that graph hosts report.
    pub(super) fn of_hosts(inner: OtlpExporter) -> Self {
        Self { inner, ours: false, trouble: Mutex::default() }
    }

    fn note(&self, spans: u64, outcome: OTelSdkResult) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let Err(error) = outcome else {
            if trouble.lost > 0 {
                info!(lost = trouble.lost, "traces reach their collector again");
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
                "traces cannot be exported, and are lost; check OTEL_EXPORTER_OTLP_ENDPOINT and the collector behind it"
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
