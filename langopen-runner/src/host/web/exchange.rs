//! Exchanges in flight, and the frames for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use langopen_core::Tenant;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::WebApi;
use super::head::ResponseHead;
use super::serve;
use crate::frame::payload::from_json;
use crate::frame::{Frame, Kind};
use crate::host::Host;

/// How many bytes of a body may be in transit. The host programs use the same number.
pub(super) const WINDOW: usize = 256 * 1024;

/// The largest piece of a body in one frame.
pub(super) const PIECE: usize = 64 * 1024;

/// How many exchanges may be in flight on a host.
pub(super) const MAX_EXCHANGES: usize = 4096;

/// An exchange in flight. Dropping it wakes all tasks that work for it.
pub(in crate::host) struct Exchange {
    /// The receiver of the response's head, if the runner began the exchange.
    pub(super) head: Option<oneshot::Sender<ResponseHead>>,
    /// Pieces of the host's body. Unbounded, because the window bounds it.
    pub(super) parts: mpsc::UnboundedSender<Part>,
    /// How many more bytes the host may send.
    pub(super) window: Arc<AtomicI64>,
    /// How many more bytes the runner may send.
    pub(super) credit: Arc<Semaphore>,
    /// The API that the host may call for this request.
    pub(super) api: Option<Arc<dyn WebApi>>,
    /// The tenant in which the caller acts.
    pub(super) tenant: Option<Tenant>,
    pub(super) stop: CancellationToken,
}

/// An element of a body.
pub(super) enum Part {
    Data(Bytes),
    End,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.credit.close();
        self.stop.cancel();
    }
}

/// Handles a frame of an exchange. It is called in the order of the frames.
pub(in crate::host) fn receive(host: &Arc<Host>, frame: Frame) {
    let id = frame.stream;
    if frame.kind == Kind::HttpRequest {
        serve::serve(host, frame);
        return;
    }
    let mut exchanges = host.exchanges.lock();
    // Frames of an exchange that has ended may still arrive.
    let Some(exchange) = exchanges.get_mut(&id) else { return };
    let fine = match frame.kind {
        Kind::HttpResponse => answered(exchange, &frame.payload),
        Kind::HttpBody => {
            let left =
                exchange.window.fetch_sub(i64::try_from(frame.payload.len()).unwrap_or(i64::MAX), Ordering::Relaxed);
            // If the reader has stopped, the data is not needed.
            let _ = exchange.parts.send(Part::Data(frame.payload));
            left > 0
        }
        Kind::HttpEnd => {
            let _ = exchange.parts.send(Part::End);
            if exchange.head.is_none() && id < HOSTS {
                exchanges.remove(&id);
            }
            return;
        }
        Kind::HttpCredit => raise(exchange, &frame.payload),
        _ => {
            debug!(host = host.number, "a graph host aborted an exchange");
            exchanges.remove(&id);
            return;
        }
    };
    if !fine {
        warn!(host = host.number, kind = ?frame.kind, "a graph host violated the protocol of an exchange; aborting it");
        exchanges.remove(&id);
        drop(exchanges);
        abort(host, id);
    }
}

/// Ids from this number on belong to exchanges that the host began.
pub(crate) const HOSTS: u32 = 1 << 31;

fn answered(exchange: &mut Exchange, payload: &[u8]) -> bool {
    match (exchange.head.take(), from_json::<ResponseHead>("host.web", payload)) {
        (Some(waiting), Ok(head)) => {
            let _ = waiting.send(head);
            true
        }
        _ => false,
    }
}

fn raise(exchange: &Exchange, payload: &[u8]) -> bool {
    let Ok(bytes) = <[u8; 4]>::try_from(payload) else { return false };
    let more = u32::from_be_bytes(bytes) as usize;
    // An honest host never returns more credit than was used.
    let fine = exchange.credit.available_permits().saturating_add(more) <= WINDOW;
    if fine {
        exchange.credit.add_permits(more);
    }
    fine
}

/// Removes an exchange and informs the host, unless the exchange has ended already.
pub(super) fn give_up(host: &Arc<Host>, id: u32) {
    let exchange = host.exchanges.lock().remove(&id);
    if exchange.is_some() {
        abort(host, id);
    }
}

/// Informs the host that an exchange has ended.
pub(super) fn abort(host: &Arc<Host>, id: u32) {
    // If the connection is closed, no HTTP_ABORT is needed.
    host.send(Frame::new(Kind::HttpAbort, id, Bytes::new()));
}
