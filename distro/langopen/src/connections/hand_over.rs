//! Watches the requests of a connection while hyper serves it, and takes an answer's body from hyper as soon as it is a stream of events that has
//! nothing to send.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

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
    events: Option<Events>,
    /// Whether all that hyper had before the events is sent.
    flushed: bool,
    /// Of the request that is being answered: whether its body was read to the end.
    heard: Option<Arc<AtomicBool>>,
    /// Whether hyper has all of the answer.
    answered: bool,
    /// Wakes the reader that waits for the end of the answer.
    reader: Option<Waker>,
}

/// The rest of a stream of events.
pub(super) struct Events {
    pub(super) body: Body,
    /// Whether what was sent of it ends with a whole event.
    pub(super) whole: bool,
}

impl HandOver {
    /// Notes that hyper has sent all that it had.
    pub(super) fn flushed(&self) {
        let mut given = self.0.lock();
        given.flushed = given.events.is_some();
        if std::mem::take(&mut given.answered) {
            given.heard = None;
            if let Some(reader) = given.reader.take() {
                reader.wake();
            }
        }
    }

    /// The body whose turn it is, if there is one.
    pub(super) fn take(&self) -> Option<Events> {
        let mut given = self.0.lock();
        if given.flushed { given.events.take() } else { None }
    }

    /// Whether a request was read whole and its answer is not sent yet; `reader` is woken when it is.
    pub(super) fn is_answering(&self, reader: &Waker) -> bool {
        let mut given = self.0.lock();
        let answering = given.heard.as_ref().is_some_and(|heard| heard.load(Ordering::Acquire));
        if answering {
            given.reader = Some(reader.clone());
        }
        answering
    }

    /// Looks at a request; its answer is to be looked at by what is returned.
    pub(super) fn look(&self, request: Request<Incoming>) -> (Request<Body>, Looked) {
        let may = request.version() == Version::HTTP_11
            && request.method() != Method::HEAD
            && !request.headers().contains_key(CONNECTION);
        let heard = Arc::new(AtomicBool::new(request.body().is_end_stream()));
        {
            let mut given = self.0.lock();
            (given.heard, given.answered) = (Some(heard.clone()), false);
        }
        let looked = Looked { may, heard: heard.clone(), hand_over: self.clone() };
        let request = match request.body().is_end_stream() {
            false => request.map(|body| Body::new(Heard { body, heard })),
            true => request.map(Body::new),
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
    /// Watches the answer, and sees to it that a stream of events is handed over.
    pub(super) fn answer(self, response: Response<Body>) -> Response<Body> {
        let headers = response.headers();
        let events = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        let framed = [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].iter().any(|name| headers.contains_key(name));
        let hands_over = self.may && self.heard.load(Ordering::Acquire) && events && !framed;
        let hands_over = hands_over && response.status() == StatusCode::OK;
        let hand_over = self.hand_over;
        response.map(|body| Body::new(Answer { body: Some(body), hands_over, whole: true, hand_over }))
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

/// An answer's body. One of events is handed over as soon as the next event has to be waited for.
struct Answer {
    body: Option<Body>,
    hands_over: bool,
    /// Whether the last piece ended with a whole event.
    whole: bool,
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
        match &polled {
            Poll::Pending if this.hands_over => {
                let whole = this.whole;
                this.hand_over.0.lock().events = this.body.take().map(|body| Events { body, whole });
            }
            Poll::Ready(Some(Ok(frame))) => {
                this.whole = frame.data_ref().map_or(this.whole, |data| ends_event(data, this.whole));
            }
            _ => {}
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

/// Whether a stream ends with a whole event after this piece; `before` says whether it did before.
pub(super) fn ends_event(piece: &[u8], before: bool) -> bool {
    match piece {
        [] => before,
        _ => [&b"\n\n"[..], b"\r\r", b"\r\n\r\n"].iter().any(|end| piece.ends_with(end)),
    }
}
