//! Watches the requests of a connection while hyper serves it. When a streamed answer has no data ready, this module
//! takes its body from hyper.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use hyper::{Method, Request, Response, StatusCode, Version};
use parking_lot::Mutex;

/// Passes a body from hyper to [`super::event_stream`].
#[derive(Clone, Default)]
pub(super) struct HandOver(Arc<Mutex<Given>>);

#[derive(Default)]
struct Given {
    rest: Option<Rest>,
    /// Whether hyper has sent all data that precedes the rest.
    flushed: bool,
    /// Whether the body of the request in progress was read to its end. `None` without such a request.
    heard: Option<Arc<AtomicBool>>,
    /// Whether hyper has received the whole answer.
    answered: bool,
    /// Wakes the reader that waits until the answer has been sent.
    reader: Option<Waker>,
}

/// The unsent rest of a stream.
pub(super) struct Rest {
    pub(super) body: Body,
    /// Whether the connection ends after this stream.
    pub(super) last: bool,
}

impl HandOver {
    /// Records that hyper flushes everything it had to send.
    pub(super) fn flushed(&self) {
        let mut given = self.0.lock();
        given.flushed = given.rest.is_some();
        if std::mem::take(&mut given.answered) {
            given.heard = None;
            if let Some(reader) = given.reader.take() {
                reader.wake();
            }
        }
    }

    /// Takes the body that was handed over, once hyper has sent everything before it.
    pub(super) fn take(&self) -> Option<Rest> {
        let mut given = self.0.lock();
        if given.flushed { given.rest.take() } else { None }
    }

    /// Whether the body of the request in progress was read to its end; `None` if no answer is in progress. Wakes
    /// `reader` when the answer has been sent.
    pub(super) fn answering(&self, reader: &Waker) -> Option<bool> {
        let mut given = self.0.lock();
        let heard = given.heard.as_ref().map(|heard| heard.load(Ordering::Acquire))?;
        given.reader = Some(reader.clone());
        Some(heard)
    }

    /// Starts to watch a request. The returned [`Looked`] must watch the answer.
    pub(super) fn look(&self, request: Request<Incoming>) -> (Request<Body>, Looked) {
        let connection = request.headers().get(CONNECTION).map(|wish| wish.as_bytes().to_ascii_lowercase());
        let last = connection.as_deref() == Some(b"close");
        let may = request.version() == Version::HTTP_11
            && request.method() != Method::HEAD
            && (last || connection.is_none_or(|wish| wish == b"keep-alive"));
        let heard = Arc::new(AtomicBool::new(request.body().is_end_stream()));
        {
            let mut given = self.0.lock();
            (given.heard, given.answered) = (Some(heard.clone()), false);
        }
        let looked = Looked { may, last, heard: heard.clone(), hand_over: self.clone() };
        let request = match request.body().is_end_stream() {
            false => request.map(|body| Body::new(Heard { body, heard })),
            true => request.map(Body::new),
        };
        (request, looked)
    }
}

/// A watched request.
pub(super) struct Looked {
    /// Whether this module may take over the answer.
    may: bool,
    /// Whether the connection ends after the answer.
    last: bool,
    /// Whether the request's body was read to its end, so that the next bytes belong to the next request.
    heard: Arc<AtomicBool>,
    hand_over: HandOver,
}

impl Looked {
    /// Watches the answer, and arranges that this module takes it over if it is a stream. hyper sends a body of unknown
    /// length in chunks.
    pub(super) fn answer(self, response: Response<Body>) -> Response<Body> {
        let headers = response.headers();
        let framed = [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].iter().any(|name| headers.contains_key(name));
        let stream = !framed && response.body().size_hint().exact().is_none() && response.status() == StatusCode::OK;
        let hands_over = self.may && self.heard.load(Ordering::Acquire) && stream;
        let (last, hand_over) = (self.last, self.hand_over);
        response.map(|body| Body::new(Answer { body: Some(body), hands_over, last, hand_over }))
    }
}

/// A request's body that records when it has ended.
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

/// An answer's body. If it is a stream, it is handed over the first time that its next piece is not ready.
struct Answer {
    body: Option<Body>,
    hands_over: bool,
    last: bool,
    hand_over: HandOver,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Pending };
        let polled = Pin::new(body).poll_frame(context);
        if polled.is_pending() && this.hands_over {
            let last = this.last;
            this.hand_over.0.lock().rest = this.body.take().map(|body| Rest { body, last });
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_some_and(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(HttpBody::size_hint).unwrap_or_default()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.hand_over.0.lock().answered = true;
    }
}
