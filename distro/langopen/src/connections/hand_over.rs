//! Takes an answer's body from hyper, as soon as it is a stream of events that has none.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use hyper::{Method, Request, Response, StatusCode, Version};
use parking_lot::Mutex;

/// Where a connection's body goes over from hyper to [`super::event_stream`].
#[derive(Clone, Default)]
pub(super) struct HandOver(Arc<Mutex<Given>>);

#[derive(Default)]
struct Given {
    body: Option<Body>,
    /// Whether all that hyper had before it is sent.
    flushed: bool,
}

impl HandOver {
    /// hyper has sent all that it had.
    pub(super) fn flushed(&self) {
        let mut given = self.0.lock();
        given.flushed = given.body.is_some();
    }

    /// The body whose turn it is, if there is one.
    pub(super) fn take(&self) -> Option<Body> {
        let mut given = self.0.lock();
        if given.flushed { given.body.take() } else { None }
    }

    /// Looks at a request; its answer is to be looked at by what is returned.
    pub(super) fn look(&self, request: Request<Incoming>) -> (Request<Body>, Looked) {
        let may = request.version() == Version::HTTP_11
            && request.method() != Method::HEAD
            && !request.headers().contains_key(CONNECTION);
        let heard = Arc::new(AtomicBool::new(request.body().is_end_stream()));
        let looked = Looked { may, heard: heard.clone(), hand_over: self.clone() };
        let request = match may && !request.body().is_end_stream() {
            true => request.map(|body| Body::new(Heard { body, heard })),
            false => request.map(Body::new),
        };
        (request, looked)
    }
}

/// A request that was looked at.
pub(super) struct Looked {
    may: bool,
    /// Whether its body came to its end: what comes after it is the next request.
    heard: Arc<AtomicBool>,
    hand_over: HandOver,
}

impl Looked {
    /// Leaves the answer as it is, or sees to it that its body is handed over.
    pub(super) fn answer(self, response: Response<Body>) -> Response<Body> {
        let headers = response.headers();
        let events = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        let framed = [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].iter().any(|name| headers.contains_key(name));
        let hand_over = self.may && self.heard.load(Ordering::Acquire) && events && !framed;
        match hand_over && response.status() == StatusCode::OK {
            true => response.map(|body| Body::new(Idle { body: Some(body), hand_over: self.hand_over })),
            false => response,
        }
    }
}

/// A request's body that notes when it has ended.
struct Heard {
    body: Incoming,
    heard: Arc<AtomicBool>,
}

impl HttpBody for Heard {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.heard.store(true, Ordering::Release);
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

/// A body of events that is handed over as soon as the next one has to be waited for.
struct Idle {
    body: Option<Body>,
    hand_over: HandOver,
}

impl HttpBody for Idle {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Pending };
        let polled = Pin::new(body).poll_frame(context);
        if polled.is_pending() {
            self.hand_over.0.lock().body = self.body.take();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_some_and(HttpBody::is_end_stream)
    }
}
