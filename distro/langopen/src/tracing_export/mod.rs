//! Exports traces over OTLP, if OpenTelemetry's own variables name an endpoint.
//!
//! The spans of requests and runs come from `tracing`. Graph hosts report their spans over their connections. Each kind
//! has batches of its own, because the two appear as two services.

mod exporter;
mod present;
mod propagator;

use std::env;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use langopen_core::telemetry;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SdkTracerProvider, SpanProcessor};
use tracing::{Metadata, Subscriber, warn};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use exporter::Exporter;
use propagator::Otel;

/// The names of the exported spans, and the targets that open them.
const EXPORTED: [(&str, &str); 2] = [("request", "langopen_api"), ("run", "langopen_worker")];

/// How long the export of the last spans may take when the program ends.
const FLUSH: Duration = Duration::from_secs(5);

/// The layer that receives spans from `tracing`.
pub(crate) type SpanLayer<S> = Box<dyn Layer<S> + Send + Sync>;

/// The running export of spans.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    hosts: Arc<BatchSpanProcessor>,
}

/// Starts the export, if the variables ask for it. `program` is the service's name unless the variables set one.
///
/// Call it within the runtime.
///
/// # Errors
/// If the variables contain invalid settings.
pub(crate) fn start<S>(program: &'static str) -> Result<Option<(Traces, SpanLayer<S>)>, ExporterBuildError>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    if !is_wanted(|name| env::var(name).ok()) {
        return Ok(None);
    }
    let service = service(program);
    let host_service = resource(format!("{}-host", name_of(&service, program)));
    let provider = SdkTracerProvider::builder()
        .with_resource(service)
        .with_span_processor(BatchSpanProcessor::builder(Exporter::of_ours(otlp()?)).build())
        .build();
    let mut hosts = BatchSpanProcessor::builder(Exporter::of_hosts(otlp()?)).build();
    hosts.set_resource(&host_service);
    let hosts = Arc::new(hosts);
    telemetry::set_propagator(Otel::new(Arc::clone(&hosts)));
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("langopen"))
        .with_context_activation(false)
        .with_location(false)
        .with_level(false)
        .with_target(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(is_exported));
    Ok(Some((Traces { provider, hosts }, layer.boxed())))
}

/// Whether to export: the variables name an endpoint, and none of them disables the export.
fn is_wanted(variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name| variable(name).filter(|value| !value.trim().is_empty());
    let named = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"]
        .into_iter()
        .any(|name| set(name).is_some());
    let disabled = set("OTEL_SDK_DISABLED").is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
    let by_otlp = set("OTEL_TRACES_EXPORTER").is_none_or(|value| value.split(',').any(|each| each.trim() == "otlp"));
    named && by_otlp && !disabled
}

fn otlp() -> Result<SpanExporter, ExporterBuildError> {
    SpanExporter::builder().build()
}

fn is_exported(metadata: &Metadata<'_>) -> bool {
    metadata.is_span()
        && EXPORTED.iter().any(|(name, from)| metadata.name() == *name && metadata.target().starts_with(from))
}

/// The resource of this service. The variables override the name `program`.
fn service(program: &'static str) -> Resource {
    let found = Resource::builder().build();
    resource(name_of(&found, program))
}

fn resource(name: String) -> Resource {
    Resource::builder()
        .with_attributes([KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))])
        .with_service_name(name)
        .build()
}

fn name_of(resource: &Resource, program: &'static str) -> String {
    let name = resource.get(&"service.name".into()).map(|name| name.to_string());
    name.filter(|name| !name.is_empty() && !name.starts_with("unknown_service")).unwrap_or_else(|| program.to_owned())
}

impl Traces {
    /// Exports the remaining spans. Call it while the runtime is alive.
    pub(crate) fn stop(self) {
        let Self { provider, hosts } = self;
        // In parallel, because an unreachable collector delays each of them.
        let ended = thread::scope(|scope| {
            let hosts = scope.spawn(|| hosts.shutdown_with_timeout(FLUSH));
            let ours = provider.shutdown_with_timeout(FLUSH);
            ours.and(hosts.join().unwrap_or(Ok(())))
        });
        if let Err(error) = ended {
            warn!(%error, "the last spans could not be exported");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_turns_exporting_on() {
        let wanted = |variables: &[(&str, &str)]| {
            is_wanted(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
        };
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
        assert!(wanted(&[endpoint]));
        assert!(wanted(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:4318/v1/traces")]));
        assert!(wanted(&[endpoint, ("OTEL_TRACES_EXPORTER", "console, otlp"), ("OTEL_SDK_DISABLED", "false")]));
        assert!(!wanted(&[]));
        assert!(!wanted(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]));
        assert!(!wanted(&[endpoint, ("OTEL_SDK_DISABLED", "TRUE")]));
        assert!(!wanted(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]));
    }
}
