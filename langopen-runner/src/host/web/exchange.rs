//! Exchanges in flight, and the frames that come for them.

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

/// How much of a body may be on its way, in bytes. The host has the same number.
pub(super) const WINDOW: usize = 256 * 1024;

/// The largest piece of a body in one frame.
pub(super) const PIECE: usize = 64 * 1024;

/// How many exchanges may be in flight on a host.
pub(super) const MAX_EXCHANGES: usize = 4096;

/// An exchange in flight. Its end wakes everybody who works for it.
pub(in crate::host) struct Exchange {
    /// Who waits for the response's head, if the exchange is ours.
    pub(super) head: Option<oneshot::Sender<ResponseHead>>,
    /// Pieces of the host's body. Unbounded, because the window bounds it.
    pub(super) parts: mpsc::UnboundedSender<Part>,
    /// How much more the host may send.
    pub(super) window: Arc<AtomicI64>,
    /// How much more we may send.
    pub(super) credit: Arc<Semaphore>,
    /// What the host may ask of the API for this request.
    pub(super) api: Option<Arc<dyn WebApi>>,
    /// Where its caller acts.
    pub(super) tenant: Option<Tenant>,
    pub(super) stop: CancellationToken,
}

/// What comes of a body.
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

/// Takes a frame of an exchange. Called in the order of the frames.
pub(in crate::host) fn receive(host: &Arc<Host>, frame: Frame) {
    let id = frame.stream;
    if frame.kind == Kind::HttpRequest {
        serve::serve(host, frame);
        return;
    }
    let mut exchanges = host.exchanges.lock();
    // Frames of an exchange that is over may still be on their way.
    let Some(exchange) = exchanges.get_mut(&id) else { return };
    let fine = match frame.kind {
        Kind::HttpResponse => answered(exchange, &frame.payload),
        Kind::HttpBody => {
            let left =
                exchange.window.fetch_sub(i64::try_from(frame.payload.len()).unwrap_or(i64::MAX), Ordering::Relaxed);
            // A reader that is gone needs nothing more.
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
            debug!(host = host.number, "an exchange with a graph host was broken off");
            exchanges.remove(&id);
            return;
        }
    };
    if !fine {
        warn!(host = host.number, kind = ?frame.kind, "a graph host broke the rules of an exchange");
        exchanges.remove(&id);
        drop(exchanges);
        abort(host, id);
    }
}

/// Ids from here on are of exchanges that the host began.
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
    // More than was ever sent is nothing that an honest host gives back.
    let fine = exchange.credit.available_permits().saturating_add(more) <= WINDOW;
    if fine {
        exchange.credit.add_permits(more);
    }
    fine
}

/// Forgets an exchange and tells the host, unless it is over already.
pub(super) fn give_up(host: &Arc<Host>, id: u32) {
    let exchange = host.exchanges.lock().remove(&id);
    if exchange.is_some() {
        abort(host, id);
    }
}

/// Tells the host that an exchange is over.
pub(super) fn abort(host: &Arc<Host>, id: u32) {
    // A host that is gone needs not be told.
    host.send(Frame::new(Kind::HttpAbort, id, Bytes::new()));
}
