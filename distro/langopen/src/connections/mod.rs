//! HTTP/1 and HTTP/2 connections on one port, each with as little memory as possible.
//!
//! axum's own server reads the first bytes of a connection to detect the protocol, and passes those bytes on. hyper
//! then uses a read buffer of twice the size for as long as the connection lives. Thousands of idle streams would need
//! thousands of such buffers. This module therefore looks at the first bytes with `peek` and leaves them in the socket.
//!
//! hyper also holds 8 KiB to read into and 8 KiB to write from. While a connection only sends an occasional event, this
//! module takes the connection from hyper until the stream ends. With 5,000 idle streams, a connection then takes
//! 3.0 KiB instead of 13.0 KiB. An event to one of 200 streams takes 14.0 µs of CPU instead of 14.7 µs.
//!
//! If a client reads nothing for [`Limits::write_timeout`], the server closes its connection and frees the buffers. If
//! a client closes only its sending half, it still receives its answer.

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

/// How long a client may take to send the head of a request, and how long a connection may idle between two requests.
const HEAD: Duration = Duration::from_secs(75);

/// The pause after a failed accept, for example because the process has no free file descriptors.
const SHORT_OF: Duration = Duration::from_millis(100);

/// The first bytes of an HTTP/2 connection. No HTTP/1 request begins with them.
const HTTP2: &[u8] = b"PRI";

/// The limits of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How long a client may read nothing of the data that the server writes.
    pub(crate) write_timeout: Duration,
}

/// Serves clients until `quiet`. Then it accepts no more connections, and returns when all requests in flight have
/// ended.
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
            // The client disconnected before the server accepted the connection.
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

/// The error that ended a connection early.
type Broken = Box<dyn std::error::Error + Send + Sync>;

async fn connection(stream: TcpStream, peer: SocketAddr, router: Router, limits: Limits, quiet: CancellationToken) {
    // Streams write small pieces. Without this setting, each piece would wait for the acknowledgement of the one
    // before.
    if let Err(error) = stream.set_nodelay(true) {
        warn!(%error, "TCP_NODELAY cannot be set on a connection; its small writes may be delayed");
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

/// The beginning of a connection.
struct Begin {
    http2: bool,
    /// The bytes that had to be read to detect the protocol. Empty, unless the first bytes arrived in pieces.
    read: Bytes,
}

/// Waits for the first bytes of a connection and detects HTTP/2 by them.
async fn begin(stream: &TcpStream) -> io::Result<Begin> {
    let mut seen = [0; HTTP2.len()];
    let length = stream.peek(&mut seen).await?;
    if length == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if let Some(http2) = is_http2(&seen[..length]) {
        return Ok(Begin { http2, read: Bytes::new() });
    }
    // Unread bytes keep the socket readable. To wait for more bytes or for the end, this function must read them.
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

/// Whether a connection with these first bytes is HTTP/2; `None` if that needs more bytes.
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
