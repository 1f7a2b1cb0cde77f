//! Serves an HTTP/2 connection with hyper, and watches for streams whose client does not read.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::wire::Wire;
use super::{Broken, answer};

pub(super) async fn serve(
    wire: Wire,
    peer: SocketAddr,
    router: Router,
    write_timeout: Duration,
    quiet: CancellationToken,
) -> Result<(), Broken> {
    let open = Arc::new(Open::default());
    let streams = Arc::clone(&open);
    let service = service_fn(move |request: Request<Incoming>| {
        let (answered, streams) = (answer(&router, peer, request.map(Body::new)), Arc::clone(&streams));
        async move { answered.await.map(|response| response.map(|body| streams.watch(body))) }
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).enable_connect_protocol();
    let connection = builder.serve_connection(TokioIo::new(wire.http2()), service);
    tokio::pin!(connection);
    let mut sweep = interval((write_timeout / 2).max(Duration::from_millis(1)));
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut asked = false;
    loop {
        tokio::select! {
            served = connection.as_mut() => return Ok(served?),
            () = quiet.cancelled(), if !asked => {
                asked = true;
                connection.as_mut().graceful_shutdown();
            }
            _ = sweep.tick() => open.give_up(write_timeout),
        }
    }
}

/// The answers that a connection is sending. A client may read the connection but give one of its streams no
/// flow-control window. hyper then never polls that answer again, so its memory would never be freed.
#[derive(Default)]
struct Open(Mutex<Vec<Weak<Mutex<Answer>>>>);

struct Answer {
    /// `None` once the server has given the answer up.
    body: Option<Body>,
    /// The time at which hyper received the last piece, until hyper asks for the next one.
    handed: Option<Instant>,
}

impl Open {
    fn watch(&self, body: Body) -> Body {
        if body.is_end_stream() {
            return body;
        }
        let (size, answer) = (body.size_hint(), Arc::new(Mutex::new(Answer { body: Some(body), handed: None })));
        self.0.lock().push(Arc::downgrade(&answer));
        Body::new(Watched { answer, size })
    }

    /// Drops the bodies of answers from which the client has read nothing for `timeout`.
    fn give_up(&self, timeout: Duration) {
        self.0.lock().retain(|answer| {
            let Some(answer) = answer.upgrade() else { return false };
            let mut answer = answer.lock();
            if answer.handed.is_some_and(|since| since.elapsed() >= timeout) {
                answer.body = None;
            }
            answer.body.is_some()
        });
    }
}

struct Watched {
    answer: Arc<Mutex<Answer>>,
    size: SizeHint,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut answer = self.answer.lock();
        answer.handed = None;
        let Some(body) = &mut answer.body else {
            let late = io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing");
            return Poll::Ready(Some(Err(axum::Error::new(late))));
        };
        let polled = Pin::new(body).poll_frame(context);
        if matches!(polled, Poll::Ready(Some(Ok(_)))) {
            answer.handed = Some(Instant::now());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.answer.lock().body.as_ref().is_some_and(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.size
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_takes_is_given_up() {
        let timeout = Duration::from_secs(60);
        let (open, held) = (Open::default(), Arc::new(()));
        let pieces = |held: &Arc<()>| {
            let held = Arc::clone(held);
            futures::stream::repeat_with(move || {
                let _held = &held;
                Ok::<_, io::Error>("piece")
            })
        };
        let mut taken = open.watch(Body::from_stream(pieces(&held))).into_data_stream();
        let waits = Body::from_stream(pieces(&held).take(1).chain(futures::stream::pending()));
        let mut waits = open.watch(waits).into_data_stream();
        let mut stalled = open.watch(Body::from_stream(pieces(&held))).into_data_stream();
        for stream in [&mut taken, &mut waits, &mut stalled] {
            assert!(stream.next().await.unwrap().is_ok());
        }
        // An answer without data waits for the graph, not for the client.
        assert!(futures::poll!(waits.next()).is_pending());
        assert_eq!(Arc::strong_count(&held), 3, "the stalled answer holds its data");
        for _ in 0..4 {
            tokio::time::advance(timeout / 2).await;
            assert!(taken.next().await.unwrap().is_ok());
            open.give_up(timeout);
        }
        // One is the test's own, one is the stream's that a client takes.
        assert_eq!(Arc::strong_count(&held), 2, "the stalled answer holds nothing any more");
        assert!(stalled.next().await.unwrap().is_err());
        assert!(taken.next().await.unwrap().is_ok());
        assert!(futures::poll!(waits.next()).is_pending());
        assert_eq!(open.0.lock().len(), 2);
    }
}
