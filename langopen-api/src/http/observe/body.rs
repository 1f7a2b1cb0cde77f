//! Observes the body of an answer until it ends, because only then is the request complete.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use metrics::Gauge;
use tracing::{Span, info};

/// A body, and the request that ends with it.
pub(super) struct Watched {
    pub(super) body: Body,
    pub(super) request: InFlight,
}

/// A request in flight. Its drop counts and logs its end, for whatever reason it ends.
pub(super) struct InFlight {
    pub(super) span: Span,
    pub(super) start: Instant,
    /// The gauges that count the request until it ends.
    pub(super) gauges: Vec<Gauge>,
    /// The headers for the access log, as a JSON object.
    pub(super) headers: Option<String>,
    pub(super) ended: bool,
}

impl InFlight {
    /// Counts the request in another gauge until it ends.
    pub(super) fn count(&mut self, gauge: Gauge) {
        gauge.increment(1);
        self.gauges.push(gauge);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.gauges.iter().for_each(|gauge| gauge.decrement(1));
        let duration_ms = self.start.elapsed().as_micros() as f64 / 1000.0;
        // Absent unless the client disconnected before the end.
        let aborted = (!self.ended).then_some(true);
        let headers = self.headers.as_deref();
        // The span has method, route, status and ids.
        self.span.in_scope(|| info!(target: "langopen_api::access", duration_ms, aborted, headers, "request"));
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let polled = {
            let _entered = this.request.span.enter();
            Pin::new(&mut this.body).poll_frame(context)
        };
        if matches!(polled, Poll::Ready(None)) {
            this.request.ended = true;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // The server does not poll a body of known size again after its last frame.
        self.request.ended |= self.body.is_end_stream();
    }
}
