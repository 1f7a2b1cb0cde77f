//! Renames this platform's spans and attributes to OpenTelemetry's conventions.

use std::borrow::Cow;

use opentelemetry::trace::{SpanId, SpanKind, Status};
use opentelemetry::{Key, Value};
use opentelemetry_sdk::trace::SpanData;

/// The prefix of attributes that are specific to LangOpen.
const PREFIX: &str = "langopen.";

/// The attributes that OpenTelemetry has names for.
const NAMES: [(&str, &str); 3] =
    [("method", "http.request.method"), ("route", "http.route"), ("status", "http.response.status_code")];

/// Attributes that `tracing` passes as text, because it has no unsigned numbers.
const NUMBERS: [&str; 2] = ["attempt", "status"];

/// The routes that probes call frequently.
const PROBES: [&str; 2] = ["/ok", "/metrics"];

/// The run statuses that count as failures.
const FAILURES: [&str; 2] = ["error", "timeout"];

/// Gives a span its name, its kind, its status and its attributes' names.
pub(super) fn present(span: &mut SpanData) {
    for attribute in &mut span.attributes {
        if NUMBERS.contains(&attribute.key.as_str()) {
            attribute.value = attribute.value.as_str().parse().map_or_else(|_| attribute.value.clone(), Value::I64);
        }
    }
    match span.name.as_ref() {
        "request" => {
            let words = [text(span, "method"), text(span, "route")];
            span.span_kind = SpanKind::Server;
            if matches!(value(span, "status"), Some(Value::I64(500..))) {
                span.status = Status::error("");
            }
            span.name = Cow::Owned(words.into_iter().flatten().collect::<Vec<_>>().join(" "));
        }
        "run" => {
            let words = [Some("run".to_owned()), text(span, "graph_id")];
            span.span_kind = SpanKind::Consumer;
            if let Some(status) = text(span, "run_status").filter(|status| FAILURES.contains(&status.as_str())) {
                span.status = Status::error(status);
            }
            span.name = Cow::Owned(words.into_iter().flatten().collect::<Vec<_>>().join(" "));
        }
        _ => {}
    }
    // The last value of an attribute wins, because a name must be unique. The span has its trace's id in any case.
    let mut known: Vec<Key> = vec![Key::from_static_str("trace_id")];
    span.attributes.reverse();
    span.attributes.retain(|attribute| {
        let news = !known.contains(&attribute.key);
        known.push(attribute.key.clone());
        news
    });
    for attribute in &mut span.attributes {
        attribute.key = key(attribute.key.as_str());
    }
}

/// Whether a `tracing` span is a probe's request outside any trace.
pub(super) fn is_probe(span: &SpanData) -> bool {
    span.parent_span_id == SpanId::INVALID
        && text(span, "route").is_some_and(|route| PROBES.iter().any(|probe| route == *probe))
}

/// The OpenTelemetry name of the log field `name`.
pub(super) fn key(name: &str) -> Key {
    match NAMES.iter().find(|(known, _)| *known == name) {
        Some((_, key)) => Key::from_static_str(key),
        None => Key::from(format!("{PREFIX}{name}")),
    }
}

fn value<'a>(span: &'a SpanData, name: &str) -> Option<&'a Value> {
    span.attributes.iter().find(|attribute| attribute.key.as_str() == name).map(|attribute| &attribute.value)
}

fn text(span: &SpanData, name: &str) -> Option<String> {
    value(span, name).map(|value| value.as_str().into_owned())
}
