//! The layer around every request: its id, its span, its log line and its metrics.

use std::sync::Arc;
use std::time::Instant;

use axum::RequestExt;
use axum::body::Body;
use axum::extract::{MatchedPath, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, Method, header};
use langopen_core::IdSource;
use langopen_core::telemetry::{self, TraceContext};
use metrics::{counter, gauge, histogram};
use tracing::field::{Empty, display};
use tracing::{Instrument, Span, error_span};
use uuid::Uuid;

use super::body::{InFlight, Watched};
use super::metrics::{REQUEST_DURATION, REQUESTS, REQUESTS_IN_FLIGHT, STREAMS_OPEN};
use crate::http::headers::LoggingHeaders;

/// The route label of a request to an unknown path. The path itself would create an unlimited number of labels.
const NO_ROUTE: &str = "unknown";

/// The number of characters of a client's request id that the server logs.
const LOGGED: usize = 128;

/// The request's id: the client's `x-request-id`, or a new one.
#[derive(Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// What the layer needs from the server.
pub(crate) struct Observed {
    /// The source of ids for requests that bring none.
    pub(crate) ids: Arc<dyn IdSource>,
    /// The headers in the access log.
    pub(crate) headers: LoggingHeaders,
}

/// Gives a request its id and its span. When its answer has ended, the layer logs it and records its metrics.
pub(crate) async fn observe(State(observed): State<Arc<Observed>>, mut request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = method(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str).to_owned();
    let id = RequestId(request_id(request.headers()).unwrap_or_else(|| observed.ids.random().to_string()));
    // The highest level, so that the ids appear at every configured log level.
    let span = error_span!(
        "request",
        method,
        route,
        request_id = id.0.chars().take(LOGGED).collect::<String>(),
        status = Empty,
        organization = Empty,
        project = Empty,
        deployment = Empty,
        assistant_id = Empty,
        graph_id = Empty,
        thread_id = Empty,
        run_id = Empty,
        trace_id = Empty,
    );
    telemetry::adopt(&span, trace_context(request.headers()).as_ref());
    if let Some(context) = telemetry::context_of(&span) {
        span.record("trace_id", context.trace_id());
    }
    record_path(&span, &mut request).await;
    request.extensions_mut().insert(id);
    let headers = observed.headers.chosen(request.headers());
    let mut in_flight = InFlight { span, start, gauges: Vec::new(), headers, ended: false };
    in_flight.count(gauge!(REQUESTS_IN_FLIGHT));

    let response = next.run(request).instrument(in_flight.span.clone()).await;

    let status = response.status().as_u16();
    in_flight.span.record("status", status);
    let labels = [("method", method.to_owned()), ("route", route.clone()), ("status", status.to_string())];
    histogram!(REQUEST_DURATION, &labels).record(start.elapsed());
    counter!(REQUESTS, &labels).increment(1);
    if is_event_stream(response.headers()) {
        in_flight.count(gauge!(STREAMS_OPEN, "route" => route));
    }
    response.map(|body| Body::new(Watched { body, request: in_flight }))
}

/// The trace context of the client's span, from `traceparent` and `tracestate`.
pub(crate) fn trace_context(headers: &HeaderMap) -> Option<TraceContext> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    TraceContext::parse(text("traceparent")?, text("tracestate"))
}

fn request_id(headers: &HeaderMap) -> Option<String> {
    let given = headers.get("x-request-id")?;
    Some(String::from_utf8_lossy(given.as_bytes()).into_owned())
}

/// The method as a label. Clients can send an unlimited number of unknown methods, so they share one label.
fn method(method: &Method) -> &'static str {
    let known = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "QUERY"];
    known.into_iter().find(|known| *known == method.as_str()).unwrap_or("OTHER")
}

/// Records the ids of the path in the span.
async fn record_path(span: &Span, request: &mut Request) {
    let Ok(params) = request.extract_parts::<RawPathParams>().await else { return };
    for (name, value) in &params {
        if let (Some(name), Ok(id)) =
            (["assistant_id", "thread_id", "run_id"].into_iter().find(|known| *known == name), value.parse::<Uuid>())
        {
            span.record(name, display(id));
        }
    }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}
