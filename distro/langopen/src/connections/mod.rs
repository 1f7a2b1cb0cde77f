//! HTTP connections, HTTP/1 and HTTP/2 on one port, with as little memory for each as they can do with.
//!
//! axum's own server reads the first bytes of a connection to tell the two apart and hands them on, which makes hyper take a read buffer of twice
//! the size for as long as the connection lives. Thousands of idle streams are thousands of idle buffers; so here the first bytes are looked
//! at where they are, and then left to whoever reads them. And hyper keeps 8 KiB to read into and 8 KiB to write from; so where it has nothing to
//! do any more but to pass on an event now and then, the connection is taken from it until the stream ends.

mod event_stream;
mod hand_over;
mod http1;
#[cfg(test)]
mod tests;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service;
use tracing::{debug, warn};

/// How long a client may take to send the head of a request, and be silent between two.
const HEAD: Duration = Duration::from_secs(75);

/// The pause after an accept that failed for want of something, such as a file descriptor.
const SHORT_OF: Duration = Duration::from_millis(100);

/// What an HTTP/2 connection begins with, and no request of HTTP/1.
const HTTP2: &[u8] = b"PRI";

/// Serves whoever connects, until `quiet`; then takes no more connections, lets requests in flight end, and returns when all have.
pub(crate) async fn serve(listener: TcpListener, router: Router, quiet: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = quiet.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                connections.spawn(connection(stream, peer, router.clone(), quiet.clone()));
            }
            // The client went away before it was accepted.
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(SHORT_OF).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Why a connection ended before its time.
type Broken = Box<dyn std::error::Error + Send + Sync>;

async fn connection(stream: TcpStream, peer: SocketAddr, router: Router, quiet: CancellationToken) {
    // Streams write small pieces; without this each would wait for the other side to acknowledge the one before.
    if let Err(error) = stream.set_nodelay(true) {
        warn!(%error, "a connection cannot be set to send at once");
    }
    let begins = tokio::select! {
        () = quiet.cancelled() => return,
        begins = tokio::time::timeout(HEAD, is_http2(&stream)) => begins,
    };
    let served = match begins {
        Ok(Ok(true)) => serve_http2(stream, peer, router, quiet).await,
        Ok(Ok(false)) => http1::serve(stream, peer, router, quiet).await,
        Ok(Err(_)) | Err(_) => return,
    };
    if let Err(error) = served {
        debug!(error = &*error, "a connection broke");
    }
}

/// Whether the connection begins as one of HTTP/2 does.
async fn is_http2(stream: &TcpStream) -> io::Result<bool> {
    let mut begin = [0; HTTP2.len()];
    loop {
        let seen = stream.peek(&mut begin).await?;
        if seen == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if seen == begin.len() || begin[..seen] != HTTP2[..seen] {
            return Ok(begin[..seen] == *HTTP2);
        }
        // What is there stays there, so waiting for more to read would not wait.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn serve_http2(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    quiet: CancellationToken,
) -> Result<(), Broken> {
    let service = service_fn(move |request: Request<Incoming>| answer(&router, peer, request.map(Body::new)));
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).enable_connect_protocol();
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        served = connection.as_mut() => return Ok(served?),
        () = quiet.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    Ok(connection.await?)
}

fn answer(router: &Router, peer: SocketAddr, mut request: Request<Body>) -> <Router as Service<Request<Body>>>::Future {
    request.extensions_mut().insert(ConnectInfo(peer));
    router.clone().call(request)
}
