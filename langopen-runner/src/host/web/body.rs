//! The bodies of exchanges, in both directions.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio::sync::{Semaphore, mpsc};

use super::WebBody;
use super::exchange::{PIECE, Part, WINDOW, give_up};
use crate::frame::{Frame, Kind};
use crate::host::Host;

/// Credit is returned in portions of this many bytes.
const PORTION: usize = WINDOW / 4;

/// The host's body in an exchange.
pub(super) struct Incoming {
    pub(super) host: Arc<Host>,
    pub(super) id: u32,
    pub(super) parts: mpsc::UnboundedReceiver<Part>,
    pub(super) window: Arc<AtomicI64>,
    /// Whether the host gets credit only once the body is read.
    pub(super) lazy: bool,
    /// Whether the exchange ends when the body is dropped.
    pub(super) last: bool,
    pub(super) unpaid: usize,
    pub(super) over: bool,
    /// A load that lasts as long as the body.
    pub(super) _held: Option<Load>,
}

/// Counts an exchange as load of its host.
pub(super) struct Load(Arc<Host>);

impl Load {
    pub(super) fn new(host: &Arc<Host>) -> Self {
        host.count(1);
        Self(Arc::clone(host))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.count(-1);
    }
}

impl Incoming {
    pub(super) fn into_body(self) -> WebBody {
        stream::unfold(self, |mut body| async move {
            let piece = body.next().await?;
            Some((piece, body))
        })
        .boxed()
    }

    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if self.over {
            return None;
        }
        if std::mem::take(&mut self.lazy) {
            self.pay(WINDOW);
        }
        match self.parts.recv().await {
            Some(Part::Data(piece)) => {
                self.unpaid += piece.len();
                if self.unpaid >= PORTION {
                    let portion = std::mem::take(&mut self.unpaid);
                    self.pay(portion);
                }
                Some(Ok(piece))
            }
            Some(Part::End) => {
                self.over = true;
                None
            }
            None => {
                self.over = true;
                Some(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the other side broke off")))
            }
        }
    }

    fn pay(&self, bytes: usize) {
        self.window.fetch_add(i64::try_from(bytes).unwrap_or(i64::MAX), Ordering::Relaxed);
        let credit = u32::try_from(bytes).unwrap_or(u32::MAX);
        // If the connection is closed, the body ends by itself.
        self.host.send(Frame::new(Kind::HttpCredit, self.id, credit.to_be_bytes().to_vec()));
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if self.last && !self.over {
            give_up(&self.host, self.id);
        }
    }
}

/// Sends a body within the credit, then HTTP_END. If the body fails, the exchange ends.
pub(super) async fn send(host: &Arc<Host>, id: u32, credit: &Semaphore, mut body: WebBody) {
    while let Some(piece) = body.next().await {
        let Ok(mut bytes) = piece else {
            give_up(host, id);
            return;
        };
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(PIECE));
            let Ok(permits) = credit.acquire_many(u32::try_from(piece.len()).unwrap_or(u32::MAX)).await else { return };
            permits.forget();
            if !host.send(Frame::new(Kind::HttpBody, id, piece)) {
                return;
            }
        }
    }
    host.send(Frame::new(Kind::HttpEnd, id, Bytes::new()));
}
