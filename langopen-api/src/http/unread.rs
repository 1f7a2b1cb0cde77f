//! What a handler leaves of a request's body.
//!
//! A connection of HTTP/1 serves its next request only after the body of the last one. Where an answer needs no body (a redirect,
//! a path that is not there, a bad id) the client may still be sending it: closed under its hands, the connection breaks with an
//! error, and the answer may be lost. So the rest is read and thrown away, within bounds.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use bytes::Bytes;
use futures::StreamExt;
use http::{Version, header};
use http_body::{Frame, SizeHint};
use tokio::runtime::Handle;

/// How much is thrown away. Who sends more loses the connection.
const MOST_BYTES: usize = 1 << 20;

/// How long a client may take to send the rest.
const LONGEST: Duration = Duration::from_secs(5);

/// Sees to the rest of the request's body. HTTP/2 does that itself: there a body ends without its connection.
pub(crate) fn discard_unread(request: Request) -> Request {
    if request.version() > Version::HTTP_11 || request.body().is_end_stream() {
        return request;
    }
    // Such a client sends nothing before it is asked to, and reading would ask it.
    let asked = !request.headers().contains_key(header::EXPECT);
    request.map(|body| Body::new(Unread { body, asked, ended: false }))
}

/// A request's body whose rest is read when nobody wants it any more.
struct Unread {
    body: Body,
    /// Whether the client sends it, or waits for the word.
    asked: bool,
    ended: bool,
}

impl HttpBody for Unread {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.asked = true;
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.ended |= matches!(polled, Poll::Ready(None | Some(Err(_))));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        if self.ended || !self.asked || self.body.is_end_stream() {
            return;
        }
        // Without a runtime there is no connection either.
        if let Ok(runtime) = Handle::try_current() {
            let rest = std::mem::take(&mut self.body);
            runtime.spawn(async { tokio::time::timeout(LONGEST, discard(rest)).await.ok() });
        }
    }
}

async fn discard(rest: Body) {
    let mut pieces = rest.into_data_stream();
    let mut read = 0;
    while let Some(Ok(piece)) = pieces.next().await {
        read += piece.len();
        if read > MOST_BYTES {
            return;
        }
    }
}
