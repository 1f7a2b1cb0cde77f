//! Connects `tracing` spans with their OpenTelemetry traces.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use langopen_core::telemetry::{AttributeValue, HostSpan, Propagator, TraceContext};
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor};
use tracing::{Span, debug};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::present::key;

/// Finds the OpenTelemetry spans of the `tracing-opentelemetry` layer, and accepts the spans of graph hosts.
pub(super) struct Otel {
    hosts: Arc<BatchSpanProcessor>,
    scope: InstrumentationScope,
}

impl Otel {
    pub(super) fn new(hosts: Arc<BatchSpanProcessor>) -> Self {
        Self { hosts, scope: InstrumentationScope::builder("langopen-host").build() }
    }
}

impl Propagator for Otel {
    fn adopt(&self, span: &Span, parent: &TraceContext) {
        let Some(parent) = remote(parent) else { return };
        if let Err(error) = span.set_parent(Context::new().with_remote_span_context(parent)) {
            debug!(%error, "a span cannot be attached to its trace");
        }
    }

    fn context_of(&self, span: &Span) -> Option<TraceContext> {
        let context = span.context();
        let active = context.span();
        let found = active.span_context();
        let flags = found.trace_flags().to_u8();
        let parent = format!("00-{}-{}-{flags:02x}", found.trace_id(), found.span_id());
        // A span without ids belongs to no trace.
        TraceContext::parse(&parent, Some(found.trace_state().header().as_str()))
    }

    fn report(&self, span: HostSpan) {
        let (Some(span_context), Ok(parent_span_id)) = (remote(&span.context), SpanId::from_hex(&span.parent_span_id))
        else {
            return debug!("a graph host reported a span without ids");
        };
        let at = |nanoseconds| SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds);
        self.hosts.on_end(SpanData {
            span_context,
            parent_span_id,
            parent_span_is_remote: true,
            span_kind: SpanKind::Internal,
            name: span.name.into(),
            start_time: at(span.start),
            end_time: at(span.end),
            attributes: span.attributes.into_iter().map(|(name, value)| attribute(name, value)).collect(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: span.error.map_or(Status::Unset, Status::error),
            instrumentation_scope: self.scope.clone(),
        });
    }
}

/// Converts an attribute. A name with a dot comes from a host and stays as it is.
fn attribute(name: String, value: AttributeValue) -> KeyValue {
    let value = match value {
        AttributeValue::Bool(value) => Value::Bool(value),
        AttributeValue::Integer(value) => Value::I64(value),
        AttributeValue::Float(value) => Value::F64(value),
        AttributeValue::Text(value) => Value::String(value.into()),
        other => Value::String(format!("{other:?}").into()),
    };
    let name = if name.contains('.') { name.into() } else { key(&name) };
    KeyValue::new(name, value)
}

fn remote(context: &TraceContext) -> Option<SpanContext> {
    let trace_id = TraceId::from_hex(context.trace_id()).ok()?;
    let span_id = SpanId::from_hex(context.span_id()).ok()?;
    let flags = TraceFlags::default().with_sampled(context.is_sampled());
    let state = context.tracestate().and_then(|state| state.parse::<TraceState>().ok()).unwrap_or_default();
    Some(SpanContext::new(trace_id, span_id, flags, true, state))
}
