//! A connected host: the frames that go out and come in, and who waits for them. Behind the connection is a host's process, or a runner with several.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use langopen_core::{Error, Result};
use metrics::Gauge;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::codec::Framed;
use tokio_util::sync::CancellationToken;
use tracing::{Span, debug, warn};

use super::calls::Waiting;
use super::handles::{HandleRange, Handles};
use super::health::{Health, Status};
use super::owner::Owner;
use super::said::Said;
use super::serve::Reach;
use super::spans::Traced;
use super::web::{self, Exchange};
use super::{Offer, logs, serve, spans};
use crate::frame::payload::from_json;
use crate::frame::{Frame, FrameCodec, Kind};

/// How many frames are written in one step.
const FRAMES_AT_ONCE: usize = 1024;

/// A host whose answer to a question after its life is owed for longer than this, in milliseconds, is blocked by its graphs.
const BLOCKED_AFTER: u64 = 500;

/// A run in flight on a host.
pub(super) struct InFlight {
    /// EVENT and DONE frames. Unbounded, because the run's credit bounds it.
    pub(super) said: mpsc::UnboundedSender<Said>,
    pub(super) reach: Reach,
    /// The span that it executes in: what its graph prints and logs is logged there.
    pub(super) span: Span,
    /// The trace that it is recorded in, if it is.
    pub(super) traced: Option<Traced>,
}

/// A connected host.
pub(crate) struct Host {
    /// Its place among the hosts, for logs.
    pub(crate) number: usize,
    pub(super) offer: Arc<Offer>,
    pub(super) runs: Mutex<HashMap<u32, InFlight>>,
    pub(super) waiting: Mutex<HashMap<u32, Waiting>>,
    pub(super) exchanges: Mutex<HashMap<u32, Exchange>>,
    pub(super) owner: Arc<Owner>,
    /// Unbounded: what a host has not read yet is bounded by the credit and the number of what is in flight on it.
    outgoing: mpsc::UnboundedSender<Frame>,
    handles: Handles,
    load: AtomicUsize,
    shown_load: Gauge,
    health: Health,
    status: Mutex<Status>,
    cut: CancellationToken,
    closed: watch::Sender<bool>,
}

/// What a connection is served with.
pub(crate) struct Attach {
    /// Its place among its like, for logs.
    pub(crate) number: usize,
    /// What it said of itself.
    pub(crate) offer: Arc<Offer>,
    /// The numbers that we may choose.
    pub(crate) handles: HandleRange,
    /// What stands behind it.
    pub(crate) status: Status,
    /// Shows how much is in flight on it.
    pub(crate) load: Gauge,
    /// Whom it works for.
    pub(crate) owner: Arc<Owner>,
}

impl Host {
    /// Takes over a connection after its handshake, and starts to serve it.
    pub(crate) fn attach<S>(attach: Attach, connection: Framed<S, FrameCodec>) -> Arc<Self>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (outgoing, queued) = mpsc::unbounded_channel();
        let Attach { number, offer, handles, status, load, owner } = attach;
        let host = Arc::new(Self {
            number,
            offer,
            runs: Mutex::default(),
            waiting: Mutex::default(),
            exchanges: Mutex::default(),
            owner,
            outgoing,
            handles: Handles::new(handles),
            load: AtomicUsize::new(0),
            shown_load: load,
            health: Health::new(),
            status: Mutex::new(status),
            cut: CancellationToken::new(),
            closed: watch::Sender::new(false),
        });
        let (sink, source) = connection.split();
        let cut = host.cut.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = write_frames(sink, queued, |_| {}) => {}
                () = cut.cancelled() => {}
            }
        });
        tokio::spawn(receive(Arc::clone(&host), source));
        host
    }

    /// What it said of itself when it was ready.
    pub(crate) fn offer(&self) -> &Arc<Offer> {
        &self.offer
    }

    /// Sends a frame; `false` if nobody will read it.
    pub(crate) fn send(&self, frame: Frame) -> bool {
        !self.is_closed() && self.outgoing.send(frame).is_ok()
    }

    /// Runs, calls and exchanges in flight.
    pub(crate) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self, change: isize) {
        self.load.fetch_add(change as usize, Ordering::Relaxed);
        self.shown_load.increment(change as f64);
    }

    /// A number for something new.
    pub(super) fn next_handle(&self) -> Result<u32> {
        let taken = |number| {
            self.runs.lock().contains_key(&number)
                || self.waiting.lock().contains_key(&number)
                || self.exchanges.lock().contains_key(&number)
        };
        self.handles
            .next(taken)
            .ok_or_else(|| Error::unavailable("host.begin", "too much is in flight on the graph host; try again"))
    }

    /// Waits until the connection is gone.
    pub(crate) async fn closed(&self) {
        let mut closed = self.closed.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = closed.wait_for(|closed| *closed).await;
    }

    /// Whether the connection is gone.
    pub(crate) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Ends the connection.
    pub(crate) fn cut(&self) {
        self.cut.cancel();
    }

    /// Asks for a sign of life, unless one is still owed.
    pub(crate) fn ping(&self) {
        let Some(mark) = self.health.question() else { return };
        if self.send(Frame::new(Kind::Ping, 0, mark.to_be_bytes().to_vec())) {
            self.health.asked(mark);
        }
    }

    /// For how many milliseconds it has owed a sign of life.
    pub(crate) fn silent_for(&self) -> u64 {
        self.health.silent_for()
    }

    /// Whether its graphs keep it from answering.
    pub(crate) fn is_blocked(&self) -> bool {
        self.status.lock().responsive == 0 || self.silent_for() > BLOCKED_AFTER
    }

    /// Whether it can take work at all.
    pub(crate) fn is_ready(&self) -> bool {
        !self.is_closed() && self.status.lock().hosts > 0
    }

    /// Whether it is about to end.
    pub(crate) fn is_draining(&self) -> bool {
        self.status.lock().draining
    }

    /// Asks it to end.
    pub(crate) fn shut_down(&self) {
        // A host that is gone needs no shutdown.
        self.send(Frame::new(Kind::Shutdown, 0, Bytes::new()));
    }
}

/// Writes frames as they come; `written` hears of each one's payload.
pub(crate) async fn write_frames<S>(
    mut sink: SplitSink<Framed<S, FrameCodec>, Frame>,
    mut queued: mpsc::UnboundedReceiver<Frame>,
    written: impl Fn(usize),
) where
    S: AsyncWrite,
{
    let mut frames = Vec::new();
    while queued.recv_many(&mut frames, FRAMES_AT_ONCE).await > 0 {
        for frame in frames.drain(..) {
            let length = frame.payload.len();
            if let Err(error) = sink.feed(frame).await {
                debug!(%error, "a connection broke while sending");
                return;
            }
            written(length);
        }
        if sink.flush().await.is_err() {
            return;
        }
    }
}

async fn receive<S>(host: Arc<Host>, mut source: SplitStream<Framed<S, FrameCodec>>)
where
    S: AsyncRead,
{
    loop {
        let frame = tokio::select! {
            frame = source.next() => frame,
            () = host.cut.cancelled() => None,
        };
        match frame {
            None => break,
            Some(Ok(frame)) => dispatch(&host, frame),
            Some(Err(error)) => {
                warn!(host = host.number, %error, "the connection to a graph host broke");
                break;
            }
        }
    }
    // Whoever waits learns it from the end of its channel.
    host.closed.send_replace(true);
    host.cut.cancel();
    host.runs.lock().clear();
    host.waiting.lock().clear();
    host.exchanges.lock().clear();
    if let Some(relay) = &host.owner.relay {
        relay.lost(&host);
    }
}

fn dispatch(host: &Arc<Host>, frame: Frame) {
    if let (Some(relay), true) = (&host.owner.relay, frame.kind != Kind::Pong) {
        relay.take(host, frame);
        return;
    }
    match frame.kind {
        Kind::Event | Kind::Done => {
            let mut runs = host.runs.lock();
            if let Some(run) = runs.get(&frame.stream) {
                let (stream, last) = (frame.stream, frame.kind == Kind::Done);
                // A reader that is gone has withdrawn the run already.
                let _ = run.said.send(Said::Frame(frame));
                if last {
                    runs.remove(&stream);
                }
            }
        }
        Kind::Call => serve::serve(host, frame),
        Kind::Reply | Kind::Error => {
            if let Some(waiting) = host.waiting.lock().remove(&frame.stream) {
                let _ = waiting.answer.send(frame);
            }
        }
        Kind::HttpRequest
        | Kind::HttpResponse
        | Kind::HttpBody
        | Kind::HttpEnd
        | Kind::HttpCredit
        | Kind::HttpAbort => web::receive(host, frame),
        Kind::Log => logs::write(host, frame.stream, &frame.payload),
        Kind::Span => spans::report(host, frame.stream, &frame.payload),
        Kind::Pong => {
            if let Ok(mark) = <[u8; 8]>::try_from(&frame.payload[..]) {
                host.health.answered(u64::from_be_bytes(mark));
            }
        }
        // The host behind the runner died: who waits learns it from the end of its channel.
        Kind::Lost => {
            host.runs.lock().remove(&frame.stream);
            host.waiting.lock().remove(&frame.stream);
        }
        Kind::Status => match from_json("runner.status", &frame.payload) {
            Ok(status) => {
                *host.status.lock() = status;
                host.owner.changed.notify_waiters();
            }
            Err(error) => warn!(host = host.number, %error, "a runner sent a status that cannot be read"),
        },
        other => warn!(host = host.number, kind = ?other, "a graph host sent a frame that is not its to send"),
    }
}

/// The sending half of an answer.
pub(super) type Answer = oneshot::Sender<Frame>;
