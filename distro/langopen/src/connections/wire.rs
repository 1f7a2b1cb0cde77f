//! The two directions of a connection.

use std::future::Future;
use std::io::{self, Cursor, IoSlice};
use std::net;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, Chain, Interest, Join, ReadBuf, join};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Sleep, sleep};

use super::hand_over::HandOver;

/// How long the server waits for the end of a request's body after the client has closed its sending half. The rest of
/// the body may have arrived and be still unread.
const BODY_END: Duration = if cfg!(test) { Duration::from_millis(500) } else { Duration::from_secs(10) };

/// A connection in the form that hyper's HTTP/1 uses.
pub(super) type HyperWire = Join<Chain<Cursor<Bytes>, Reader>, Flushed>;

/// A connection in the form that hyper's HTTP/2 uses.
pub(super) type Http2Wire = Join<Chain<Cursor<Bytes>, OwnedReadHalf>, Patient>;

/// A connection, with bytes that were received but not used yet.
pub(super) struct Wire {
    pub(super) unread: Bytes,
    pub(super) read: OwnedReadHalf,
    pub(super) write: Patient,
}

impl Wire {
    /// Wraps a connection. `unread` are the bytes that were already read from it. The client may read nothing for at
    /// most `timeout`.
    pub(super) fn new(stream: TcpStream, unread: Bytes, timeout: Duration) -> Self {
        let (read, write) = stream.into_split();
        Self { unread, read, write: Patient { write, timeout, waiting: None } }
    }

    /// Lends the connection to hyper. `hand_over` watches its requests and writes.
    pub(super) fn lend(self, hand_over: HandOver) -> HyperWire {
        let reader = Reader { read: self.read, hand_over: hand_over.clone(), ended: None };
        join(Cursor::new(self.unread).chain(reader), Flushed { write: self.write, hand_over })
    }

    /// Takes the connection back from hyper, which has already read `unread`.
    pub(super) fn back(wire: HyperWire, unread: Bytes) -> Self {
        let (chain, Flushed { write, .. }) = wire.into_inner();
        let (begin, Reader { read, .. }) = chain.into_inner();
        let (place, mut rest) = (usize::try_from(begin.position()).unwrap_or(usize::MAX), begin.into_inner());
        let rest = rest.split_off(place.min(rest.len()));
        // The bytes are copied. Otherwise hyper's whole buffer would stay allocated for a few bytes.
        let unread = [unread, rest].concat().into();
        Self { unread, read, write }
    }

    /// The connection in the form for HTTP/2.
    pub(super) fn http2(self) -> Http2Wire {
        join(Cursor::new(self.unread).chain(self.read), self.write)
    }
}

/// Returns a future that completes when a client has disconnected completely after closing its sending half. The server
/// must write to learn this: the system of a disconnected client answers with a reset.
pub(super) fn gone(read: &OwnedReadHalf) -> io::Result<BoxFuture<'static, ()>> {
    // A separate descriptor, because the original one only reports that its reading side has ended.
    let stream = net::TcpStream::from(read.as_ref().as_fd().try_clone_to_owned()?);
    let stream = TcpStream::from_std(stream)?;
    Ok(Box::pin(async move {
        // If the wait itself fails, the connection counts as ended too.
        let _ = stream.ready(Interest::ERROR).await;
    }))
}

/// The reading side for hyper. When hyper reads the end of the client's data, it drops the request in progress. But a
/// client may close its sending half and still wait for the answer. This reader therefore reports the end only after
/// the answer has been sent.
pub(super) struct Reader {
    read: OwnedReadHalf,
    hand_over: HandOver,
    ended: Option<Ended>,
}

/// The state after the client has closed its sending half.
struct Ended {
    /// Completes when the client has disconnected completely.
    gone: BoxFuture<'static, ()>,
    /// Completes when the time for the rest of the request's body is over.
    body: Pin<Box<Sleep>>,
}

impl AsyncRead for Reader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let ended = match &mut this.ended {
            Some(ended) => ended,
            None => {
                let before = buffer.filled().len();
                ready!(Pin::new(&mut this.read).poll_read(context, buffer))?;
                if buffer.filled().len() > before || buffer.remaining() == 0 {
                    return Poll::Ready(Ok(()));
                }
                let gone = gone(&this.read)?;
                this.ended.insert(Ended { gone, body: Box::pin(sleep(BODY_END)) })
            }
        };
        let Some(heard) = this.hand_over.answering(context.waker()) else { return Poll::Ready(Ok(())) };
        if ended.gone.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if !heard && ended.body.as_mut().poll(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }
}

/// The writing side. If the client reads nothing for `timeout`, the server closes the connection and frees its buffers.
pub(super) struct Patient {
    write: OwnedWriteHalf,
    timeout: Duration,
    /// The time limit of the write that waits for the client.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    /// Passes on the result of a write that made progress. Otherwise it waits for the client, for at most `timeout`.
    fn wait<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let timeout = self.timeout;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(timeout)));
        waiting
            .as_mut()
            .poll(context)
            .map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.write).poll_write(context, bytes);
        self.wait(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.write).poll_write_vectored(context, slices);
        self.wait(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.write.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_shutdown(context)
    }
}

/// The writing side for hyper. hyper flushes it after it has written everything that it had to send.
pub(super) struct Flushed {
    write: Patient,
    hand_over: HandOver,
}

impl AsyncWrite for Flushed {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.write.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.hand_over.flushed();
        Pin::new(&mut self.write).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_shutdown(context)
    }
}
