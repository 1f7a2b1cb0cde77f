//! The two ways of a connection, and what was read of it already.

use std::io::{self, Cursor, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWrite, Chain, Join, join};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::hand_over::HandOver;

/// A connection as hyper takes it.
pub(super) type HyperWire = Join<Chain<Cursor<Bytes>, OwnedReadHalf>, Flushed>;

/// A connection, and bytes that came over it and are not used yet.
pub(super) struct Wire {
    pub(super) unread: Bytes,
    pub(super) read: OwnedReadHalf,
    pub(super) write: OwnedWriteHalf,
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Self {
        let (read, write) = stream.into_split();
        Self { unread: Bytes::new(), read, write }
    }

    /// For hyper, which tells `hand_over` when all that it had to send is sent.
    pub(super) fn lend(self, hand_over: HandOver) -> HyperWire {
        join(Cursor::new(self.unread).chain(self.read), Flushed { write: self.write, hand_over })
    }

    /// Back from hyper, which has read `unread` too far.
    pub(super) fn back(wire: HyperWire, unread: Bytes) -> Self {
        let (chain, Flushed { write, .. }) = wire.into_inner();
        let (begin, read) = chain.into_inner();
        let (place, mut rest) = (usize::try_from(begin.position()).unwrap_or(usize::MAX), begin.into_inner());
        let rest = rest.split_off(place.min(rest.len()));
        // Copied: hyper's buffer would be kept for a few bytes, or for none.
        let unread = [unread, rest].concat().into();
        Self { unread, read, write }
    }
}

/// The way out. hyper flushes it when it has written all that it had.
pub(super) struct Flushed {
    write: OwnedWriteHalf,
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
