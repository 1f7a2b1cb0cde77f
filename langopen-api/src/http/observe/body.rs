//! An answer's body that is watched until its end: only then a request is over.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use metrics::Gauge;
use tracing::{Span, info};

/// A body, and what is to be said at its end.
pub(super) struct Watched {
    pub(super) body: Body,
    pub(super) request: InFlight,
}

/// A request that is being answered. Its end, however it comes, is counted and logged.
pub(super) struct InFlight {
    pub(super) span: Span,
    pub(super) start: Instant,
    /// What counts it while it lasts.
    pub(super) gauges: Vec<Gauge>,
    /// The headers to be logged, as a JSON object.
    pub(super) headers: Option<String>,
    pub(super) ended: bool,
}

impl InFlight {
    /// Counts the request in one more gauge, until its end.
    pub(super) fn count(&mut self, gauge: Gauge) {
        gauge.increment(1);
        self.gauges.push(gauge);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.gauges.iter().for_each(|gauge| gauge.decrement(1));
        let duration_ms = self.start.elapsed().as_micros() as f64 / 1000.0;
        // Absent unless the client went away before the end.
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
        // A body of known size is not asked again after its last piece.
        self.request.ended |= self.body.is_end_stream();
    }
}
