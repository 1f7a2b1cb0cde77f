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

/// How long a request may miss the end of its body after its client has closed its sending half: the rest may have
/// come, and not be read yet.
const BODY_END: Duration = if cfg!(test) { Duration::from_millis(500) } else { Duration::from_secs(10) };

/// A connection as hyper's HTTP/1 takes it.
pub(super) type HyperWire = Join<Chain<Cursor<Bytes>, Reader>, Flushed>;

/// A connection as hyper's HTTP/2 takes it.
pub(super) type Http2Wire = Join<Chain<Cursor<Bytes>, OwnedReadHalf>, Patient>;

/// A connection, and bytes that came over it and are not used yet.
pub(super) struct Wire {
    pub(super) unread: Bytes,
    pub(super) read: OwnedReadHalf,
    pub(super) write: Patient,
}

impl Wire {
    /// A connection of which `unread` was read, and whose client may take nothing of what is written for `timeout`.
    pub(super) fn new(stream: TcpStream, unread: Bytes, timeout: Duration) -> Self {
        let (read, write) = stream.into_split();
        Self { unread, read, write: Patient { write, timeout, waiting: None } }
    }

    /// Lends the connection to hyper, whose requests and writes `hand_over` watches.
    pub(super) fn lend(self, hand_over: HandOver) -> HyperWire {
        let reader = Reader { read: self.read, hand_over: hand_over.clone(), ended: None };
        join(Cursor::new(self.unread).chain(reader), Flushed { write: self.write, hand_over })
    }

    /// Takes the connection back from hyper, which has read `unread` too far.
    pub(super) fn back(wire: HyperWire, unread: Bytes) -> Self {
        let (chain, Flushed { write, .. }) = wire.into_inner();
        let (begin, Reader { read, .. }) = chain.into_inner();
        let (place, mut rest) = (usize::try_from(begin.position()).unwrap_or(usize::MAX), begin.into_inner());
        let rest = rest.split_off(place.min(rest.len()));
        // Copied: hyper's buffer would be kept for a few bytes, or for none.
        let unread = [unread, rest].concat().into();
        Self { unread, read, write }
    }

    /// The connection for HTTP/2.
    pub(super) fn http2(self) -> Http2Wire {
        join(Cursor::new(self.unread).chain(self.read), self.write)
    }
}

/// Waits until a client that has closed its sending half is gone altogether. Only a write can show that: the system of
/// a client that is gone answers it with a reset.
pub(super) fn gone(read: &OwnedReadHalf) -> io::Result<BoxFuture<'static, ()>> {
    // A descriptor of its own, as the other one reports no more than that its reading side has ended.
    let stream = net::TcpStream::from(read.as_ref().as_fd().try_clone_to_owned()?);
    let stream = TcpStream::from_std(stream)?;
    Ok(Box::pin(async move {
        // An error of the wait itself says no more than that nothing will be heard any more.
        let _ = stream.ready(Interest::ERROR).await;
    }))
}

/// The reading side for hyper. hyper takes the end of what a client sends for the end of the client, and drops the
/// request that it is answering. But a client may close its sending half and wait for the answer, so hyper learns of
/// the end only when the answer is sent.
pub(super) struct Reader {
    read: OwnedReadHalf,
    hand_over: HandOver,
    ended: Option<Ended>,
}

/// The end of what a client sends was read.
struct Ended {
    /// Ends when the client is gone altogether.
    gone: BoxFuture<'static, ()>,
    /// Ends when the rest of a request's body should have been read.
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

/// The writing side. A client that takes nothing for `timeout` loses its connection, and what is buffered for it is
/// given back.
pub(super) struct Patient {
    write: OwnedWriteHalf,
    timeout: Duration,
    /// Runs while a write waits for the client.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    /// Passes on a write, if it did anything; else waits for the client, for so long.
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

/// The writing side for hyper, which flushes it when it has written all that it had.
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
