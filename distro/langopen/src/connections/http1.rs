//! Serves an HTTP/1 connection. hyper serves it, except while the connection only waits for a stream's next piece.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio_util::sync::CancellationToken;

use super::hand_over::{HandOver, Rest};
use super::wire::Wire;
use super::{Broken, HEAD, answer, event_stream};

/// The size of each of hyper's buffers. It limits the head of a request, and the bytes that a client which does not
/// read can hold.
const BUFFER: usize = 64 * 1024;

pub(super) async fn serve(
    mut wire: Wire,
    peer: SocketAddr,
    router: Router,
    quiet: CancellationToken,
) -> Result<(), Broken> {
    while let Some((left, rest)) = requests(wire, peer, &router, &quiet).await? {
        match event_stream::send(left, rest).await? {
            Some(next) if !quiet.is_cancelled() => wire = next,
            _ => break,
        }
    }
    Ok(())
}

/// Serves requests until the connection ends or an answer is a waiting stream. Its caller then sends the rest of that
/// stream.
async fn requests(
    wire: Wire,
    peer: SocketAddr,
    router: &Router,
    quiet: &CancellationToken,
) -> Result<Option<(Wire, Rest)>, Broken> {
    let hand_over = HandOver::default();
    let service = service_fn(|request: Request<Incoming>| {
        let (request, looked) = hand_over.look(request);
        let answered = answer(router, peer, request);
        async move { answered.await.map(|response| looked.answer(response)) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(BUFFER);
    let io = TokioIo::new(wire.lend(hand_over.clone()));
    let mut connection = builder.serve_connection(io, service).with_upgrades();
    let mut asked = false;
    let mut quieted = pin!(quiet.cancelled());
    let served = poll_fn(|context| {
        if !asked && quieted.as_mut().poll(context).is_ready() {
            asked = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        match Pin::new(&mut connection).poll(context) {
            Poll::Ready(served) => Poll::Ready(served.map(|()| None)),
            Poll::Pending => hand_over.take().map_or(Poll::Pending, |rest| Poll::Ready(Ok(Some(rest)))),
        }
    });
    let rest = served.await?;
    Ok(rest.zip(connection.into_parts()).map(|(rest, parts)| {
        let wire = Wire::back(parts.io.into_inner(), parts.read_buf);
        (wire, rest)
    }))
}
