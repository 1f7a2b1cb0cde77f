//! A connected host: its frames in both directions, and the runs, calls and exchanges in flight. The other end is the
//! process of one host, or a runner with several hosts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures::stream::SplitSink;
use futures::{SinkExt, StreamExt};
use langopen_core::{Error, Result};
use metrics::Gauge;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::codec::Framed;
use tokio_util::sync::CancellationToken;
use tracing::{Span, debug, warn};

use super::budget::{Budget, Share};
use super::calls::Waiting;
use super::credit::Credit;
use super::ending::{Aboard, Ending};
use super::fitness::Fitness;
use super::handles::{HandleRange, Handles};
use super::health::{Health, Status};
use super::message::RunMessage;
use super::owner::Owner;
use super::serve::Reach;
use super::spans::Traced;
use super::web::{self, Exchange};
use super::{Offer, dispatch};
use crate::frame::{Frame, FrameCodec, Kind};

/// The most frames per write.
const FRAMES_AT_ONCE: usize = 1024;

/// A host that leaves a PING unanswered for so many milliseconds counts as blocked by its graphs.
const BLOCKED_AFTER: u64 = 500;

/// A run in flight on a host.
pub(super) struct InFlight {
    /// Receives EVENT and DONE frames. Unbounded, because the run's credit bounds it.
    pub(super) messages: mpsc::UnboundedSender<RunMessage>,
    /// The number of bytes of events that the host may send.
    pub(super) credit: Arc<Credit>,
    /// Whether the run may have ended a host before.
    pub(super) suspect: bool,
    pub(super) reach: Reach,
    /// The span of the run's attempt. Log records of its graph belong to it.
    pub(super) span: Span,
    /// The trace of the run, if it is recorded.
    pub(super) traced: Option<Traced>,
}

/// A connected host.
pub(crate) struct Host {
    /// The number of the host in logs.
    pub(crate) number: usize,
    pub(super) offer: Arc<Offer>,
    pub(super) runs: Mutex<HashMap<u32, InFlight>>,
    pub(super) waiting: Mutex<HashMap<u32, Waiting>>,
    pub(super) exchanges: Mutex<HashMap<u32, Exchange>>,
    pub(super) owner: Arc<Owner>,
    /// Unbounded: the credit, the budget and the number of runs in flight bound the frames for a host that does not
    /// read.
    outgoing: mpsc::UnboundedSender<Outgoing>,
    /// Counts the unhandled calls of the host, and what else this side handles by itself.
    pub(super) calls: Arc<Budget>,
    /// Counts the outputs of runs that wait for their readers.
    pub(super) outputs: Arc<Budget>,
    behind: Behind,
    /// Why the runner ended the host, if it did.
    verdict: OnceLock<Ending>,
    fitness: Fitness,
    handles: Handles,
    load: AtomicUsize,
    shown_load: Gauge,
    pub(super) health: Health,
    pub(super) status: Mutex<Status>,
    pub(super) cut: CancellationToken,
    pub(super) closed: watch::Sender<bool>,
}

/// The other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behind {
    /// A host's process. The code that watches the process must [bury](Host::bury) the host.
    Process,
    /// A runner with its own hosts.
    Runner,
}

/// An outgoing frame.
pub(crate) struct Outgoing {
    pub(crate) frame: Frame,
    /// The share of the budget that it takes until it is written.
    pub(crate) share: Option<Share>,
}

impl From<Frame> for Outgoing {
    fn from(frame: Frame) -> Self {
        Self { frame, share: None }
    }
}

/// The parameters of a connection.
pub(crate) struct Attach {
    /// The number of the host in logs.
    pub(crate) number: usize,
    /// Its offer, from READY.
    pub(crate) offer: Arc<Offer>,
    /// The handles that this side may choose.
    pub(crate) handles: HandleRange,
    /// Its first status.
    pub(crate) status: Status,
    /// The gauge of its load.
    pub(crate) load: Gauge,
    /// Its owner.
    pub(crate) owner: Arc<Owner>,
    /// The kind of its other end.
    pub(crate) behind: Behind,
}

impl Host {
    /// Takes over a connection after its handshake, and starts to serve it.
    pub(crate) fn attach<S>(attach: Attach, connection: Framed<S, FrameCodec>) -> Arc<Self>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (outgoing, queued) = mpsc::unbounded_channel();
        let Attach { number, offer, handles, status, load, owner, behind } = attach;
        let relayed = owner.relay.is_some();
        let host = Arc::new(Self {
            number,
            offer,
            runs: Mutex::default(),
            waiting: Mutex::default(),
            exchanges: Mutex::default(),
            owner,
            outgoing,
            calls: Budget::for_calls(),
            outputs: if relayed { Budget::for_relayed_outputs() } else { Budget::for_outputs() },
            behind,
            verdict: OnceLock::new(),
            fitness: Fitness::default(),
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
        tokio::spawn(dispatch::receive(Arc::clone(&host), source));
        host
    }

    /// Its offer, from READY.
    pub(crate) fn offer(&self) -> &Arc<Offer> {
        &self.offer
    }

    /// Sends a frame; returns `false` if the connection is closed.
    pub(crate) fn send(&self, frame: impl Into<Outgoing>) -> bool {
        !self.is_closed() && self.outgoing.send(frame.into()).is_ok()
    }

    /// Counts a frame of this host that stays in memory until the share is dropped.
    pub(crate) fn share(&self, frame: &Frame) -> Share {
        let budget = if matches!(frame.kind, Kind::Event | Kind::Done) { &self.outputs } else { &self.calls };
        budget.take(frame.payload.len())
    }

    /// The number of runs, calls and exchanges in flight.
    pub(crate) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self, change: isize) {
        self.load.fetch_add(change as usize, Ordering::Relaxed);
        self.shown_load.increment(change as f64);
    }

    /// A free handle.
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

    /// Waits until the connection is closed.
    pub(crate) async fn closed(&self) {
        let mut closed = self.closed.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = closed.wait_for(|closed| *closed).await;
    }

    /// Whether the connection is closed.
    pub(crate) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Closes the connection.
    pub(crate) fn cut(&self) {
        self.cut.cancel();
    }

    /// Sends a PING. A host's process gets none while the last one is still unanswered.
    pub(crate) fn ping(&self) {
        let mark = match self.health.question() {
            Some(mark) => mark,
            // A runner disconnects a client that sends nothing, even while the client does not read.
            None if self.is_runner() => self.health.open_question(),
            None => return,
        };
        if self.send(Frame::new(Kind::Ping, 0, mark.to_be_bytes().to_vec())) {
            self.health.asked(mark);
        }
    }

    /// How long a PING has been unanswered, in milliseconds. It is 0 while this side does not read from the host.
    pub(crate) fn silent_for(&self) -> u64 {
        if self.calls.is_exhausted() || self.outputs.is_exhausted() { 0 } else { self.health.silent_for() }
    }

    /// Whether the host is too busy with its graphs to answer.
    pub(crate) fn is_blocked(&self) -> bool {
        self.status.lock().responsive == 0 || self.silent_for() > BLOCKED_AFTER
    }

    /// Whether the host can take work.
    pub(crate) fn is_ready(&self) -> bool {
        !self.is_closed() && self.status.lock().hosts > 0
    }

    /// Whether the host is draining.
    pub(crate) fn is_draining(&self) -> bool {
        self.status.lock().draining
    }

    /// Whether the host still ends its runs.
    pub(crate) fn fitness(&self) -> &Fitness {
        &self.fitness
    }

    /// Takes the host out of service: it gets no new work.
    pub(crate) fn retire(&self) {
        self.status.lock().draining = true;
    }

    /// Whether the other end is a runner, which has its own hosts.
    pub(super) fn is_runner(&self) -> bool {
        self.behind == Behind::Runner
    }

    /// Closes the connection, and records the ending, which says which run is to blame.
    pub(crate) fn convict(&self, ending: Ending) {
        warn!(host = self.number, reason = ending.cause, "the runner closed its connection to a graph host");
        // The first verdict wins.
        let _ = self.verdict.set(ending);
        self.cut();
    }

    /// Ends all runs, calls and exchanges of the host. It is called once, after the host's last frame.
    pub(crate) fn bury(self: &Arc<Self>, ending: Ending) {
        let ending = self.verdict.get().cloned().unwrap_or(ending);
        self.closed.send_replace(true);
        self.cut();
        let runs = std::mem::take(&mut *self.runs.lock());
        let asked = !self.waiting.lock().is_empty() || self.exchanges.lock().keys().any(|id| *id < web::HOSTS);
        let aboard = Aboard {
            runs: runs.iter().map(|(handle, run)| (*handle, run.suspect)).collect(),
            others: asked || self.fitness().has_left_behind(),
        };
        for (handle, run) in runs {
            // The reader may have stopped.
            let _ = run.messages.send(RunMessage::Lost(ending.loss(handle, &aboard)));
        }
        self.waiting.lock().clear();
        self.exchanges.lock().clear();
        if let Some(relay) = &self.owner.relay {
            relay.lost(self, &ending);
        }
    }

    /// Asks the host to shut down.
    pub(crate) fn shut_down(&self) {
        // A closed connection needs no SHUTDOWN.
        self.send(Frame::new(Kind::Shutdown, 0, Bytes::new()));
    }
}

/// Writes frames as they arrive, and calls `written` with the length of each payload.
pub(crate) async fn write_frames<S>(
    mut sink: SplitSink<Framed<S, FrameCodec>, Frame>,
    mut queued: mpsc::UnboundedReceiver<Outgoing>,
    written: impl Fn(usize),
) where
    S: AsyncWrite,
{
    let mut frames = Vec::new();
    while queued.recv_many(&mut frames, FRAMES_AT_ONCE).await > 0 {
        for Outgoing { frame, share: _share } in frames.drain(..) {
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

/// The sending half of an answer.
pub(super) type Answer = oneshot::Sender<Frame>;
