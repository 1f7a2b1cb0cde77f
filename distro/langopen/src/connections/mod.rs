//! HTTP connections, HTTP/1 and HTTP/2 on one port, each with as little memory as possible.
//!
//! axum's own server reads the first bytes of a connection to tell the two apart and hands them on. hyper then takes a
//! read buffer of twice the size for as long as the connection lives. Thousands of idle streams are thousands of idle
//! buffers, so this module looks at the first bytes with `peek` and leaves them in the socket. hyper also keeps 8 KiB
//! to read into and 8 KiB to write from. While an event now and then is all that is to be sent, this module takes the
//! connection from hyper until the stream ends.
//!
//! A client that takes nothing for [`Limits::write_timeout`] loses its connection, so that what is buffered for it is
//! given back. A client that closes its sending half still gets its answer.

mod event_stream;
mod hand_over;
mod http1;
mod http2;
#[cfg(test)]
mod tests;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use bytes::{BufMut, Bytes, BytesMut};
use hyper::Request;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service;
use tracing::{debug, warn};

use wire::Wire;

/// How long a client may take to send the head of a request, and be silent between two.
const HEAD: Duration = Duration::from_secs(75);

/// The pause after an accept that failed because something ran out, such as file descriptors.
const SHORT_OF: Duration = Duration::from_millis(100);

/// What an HTTP/2 connection begins with, and no request of HTTP/1.
const HTTP2: &[u8] = b"PRI";

/// What a connection may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How long a client may take nothing of what is written to it.
    pub(crate) write_timeout: Duration,
}

/// Serves every client until `quiet`. Then it takes no more connections, lets requests in flight end, and returns when
/// all have.
pub(crate) async fn serve(listener: TcpListener, router: Router, limits: Limits, quiet: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = quiet.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                connections.spawn(connection(stream, peer, router.clone(), limits, quiet.clone()));
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

/// The reason why a connection ended before its time.
type Broken = Box<dyn std::error::Error + Send + Sync>;

async fn connection(stream: TcpStream, peer: SocketAddr, router: Router, limits: Limits, quiet: CancellationToken) {
    // Streams write small pieces; without this each would wait for the other side to acknowledge the one before.
    if let Err(error) = stream.set_nodelay(true) {
        warn!(%error, "a connection cannot be set to send at once");
    }
    let begins = tokio::select! {
        () = quiet.cancelled() => return,
        begins = tokio::time::timeout(HEAD, begin(&stream)) => begins,
    };
    let Ok(Ok(Begin { http2, read })) = begins else { return };
    let wire = Wire::new(stream, read, limits.write_timeout);
    let served = match http2 {
        true => http2::serve(wire, peer, router, limits.write_timeout, quiet).await,
        false => http1::serve(wire, peer, router, quiet).await,
    };
    if let Err(error) = served {
        debug!(error = &*error, "a connection broke");
    }
}

/// How a connection begins.
struct Begin {
    http2: bool,
    /// What had to be read to learn that; nothing, unless it came in pieces.
    read: Bytes,
}

/// Waits for the first bytes of a connection, which tell HTTP/2 from HTTP/1.
async fn begin(stream: &TcpStream) -> io::Result<Begin> {
    let mut seen = [0; HTTP2.len()];
    let length = stream.peek(&mut seen).await?;
    if length == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if let Some(http2) = is_http2(&seen[..length]) {
        return Ok(Begin { http2, read: Bytes::new() });
    }
    // Bytes that stay in the socket keep it readable, so they are read to wait for more of them, or for the end.
    let mut read = BytesMut::with_capacity(HTTP2.len());
    loop {
        stream.readable().await?;
        let missing = HTTP2.len() - read.len();
        match stream.try_read_buf(&mut (&mut read).limit(missing)) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {
                if let Some(http2) = is_http2(&read) {
                    return Ok(Begin { http2, read: read.freeze() });
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether a connection that begins with these bytes is one of HTTP/2; `None` if more bytes must tell.
fn is_http2(begin: &[u8]) -> Option<bool> {
    match HTTP2.starts_with(begin) {
        true if begin.len() < HTTP2.len() => None,
        whole => Some(whole),
    }
}

fn answer(router: &Router, peer: SocketAddr, mut request: Request<Body>) -> <Router as Service<Request<Body>>>::Future {
    request.extensions_mut().insert(ConnectInfo(peer));
    router.clone().call(request)
}
