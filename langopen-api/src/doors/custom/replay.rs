//! Requests that may be sent a second time. The body stays available until a receiver reads it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, BodyDataStream};
use axum::extract::Request;
use bytes::Bytes;
use futures::Stream;
use http::request::Parts;
use parking_lot::Mutex;

type Shared = Arc<Mutex<Option<Body>>>;

/// The copy of a request that was sent once, to send it a second time.
pub(super) struct Replay {
    parts: Parts,
    body: Shared,
}

/// Splits a request into one to send now and a copy to send later.
pub(super) fn replayable(request: Request) -> (Request, Replay) {
    let (parts, body) = request.into_parts();
    if http_body::Body::is_end_stream(&body) {
        let replay = Replay { parts: parts.clone(), body: Arc::new(Mutex::new(Some(Body::empty()))) };
        return (Request::from_parts(parts, body), replay);
    }
    let body = Arc::new(Mutex::new(Some(body)));
    let replay = Replay { parts: parts.clone(), body: Arc::clone(&body) };
    (Request::from_parts(parts, Body::from_stream(OnDemand { body, reading: None })), replay)
}

impl Replay {
    /// The copy, unless the first receiver has read the body.
    pub(super) fn request(self) -> Option<Request> {
        let body = self.body.lock().take()?;
        Some(Request::from_parts(self.parts, body))
    }
}

struct OnDemand {
    body: Shared,
    reading: Option<BodyDataStream>,
}

impl Stream for OnDemand {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.reading.is_none() {
            let body = self.body.lock().take();
            self.reading = body.map(Body::into_data_stream);
        }
        match &mut self.reading {
            Some(reading) => Pin::new(reading).poll_next(context),
            None => Poll::Ready(None),
        }
    }
}
