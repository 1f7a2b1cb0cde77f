//! Discards the part of a request's body that its handler has not read.
//!
//! An HTTP/1 connection serves its next request only after the body of the last one. Some answers need no body, such as
//! a redirect, an unknown path or an invalid id, and the client may still be sending it. If the server closed the
//! connection then, the client could lose the answer. So the server reads and discards the rest, within limits.

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

/// The most bytes that the server discards. A client that sends more loses the connection.
const MOST_BYTES: usize = 1 << 20;

/// How long a client may take to send the rest.
const LONGEST: Duration = Duration::from_secs(5);

/// Wraps the request's body so that its rest is discarded. HTTP/2 needs no wrapper, because it can end a body without
/// closing the connection.
pub(crate) fn discard_unread(request: Request) -> Request {
    if request.version() > Version::HTTP_11 || request.body().is_end_stream() {
        return request;
    }
    // A client with `Expect` sends no body before the server asks for it, and a read would ask.
    let asked = !request.headers().contains_key(header::EXPECT);
    request.map(|body| Body::new(Unread { body, asked, ended: false }))
}

/// A request's body whose rest is read when the handler drops it.
struct Unread {
    body: Body,
    /// Whether the client sends the body, or still waits for `100 Continue`.
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
