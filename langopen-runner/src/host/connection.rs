//! A connected host: its frames in both directions, and the runs, calls and exchanges in flight. The other end is the
//! process of one host, or a runner with several hosts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

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

use super::budget::{Budget, Share};
use super::calls::Waiting;
use super::credit::Credit;
use super::ending::{Aboard, Ending, Guilt, Lost};
use super::fitness::Fitness;
use super::handles::{HandleRange, Handles};
use super::health::{Health, Status};
use super::message::RunMessage;
use super::owner::Owner;
use super::serve::Reach;
use super::spans::Traced;
use super::web::{self, Exchange};
use super::{Offer, handed_back, logs, serve, spans};
use crate::frame::payload::from_json;
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
    /// Counts the unhandled frames of the host.
    pub(super) budget: Arc<Budget>,
    behind: Behind,
    /// Why the runner ended the host, if it did.
    verdict: OnceLock<Ending>,
    fitness: Fitness,
    handles: Handles,
    load: AtomicUsize,
    shown_load: Gauge,
    health: Health,
    status: Mutex<Status>,
    cut: CancellationToken,
    closed: watch::Sender<bool>,
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
        let host = Arc::new(Self {
            number,
            offer,
            runs: Mutex::default(),
            waiting: Mutex::default(),
            exchanges: Mutex::default(),
            owner,
            outgoing,
            budget: Arc::default(),
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
        tokio::spawn(receive(Arc::clone(&host), source));
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

    /// Counts bytes from this host that stay in memory until the share is dropped.
    pub(crate) fn share(&self, bytes: usize) -> Share {
        self.budget.take(bytes)
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

    /// Sends a PING, unless the last one is still unanswered.
    pub(crate) fn ping(&self) {
        let Some(mark) = self.health.question() else { return };
        if self.send(Frame::new(Kind::Ping, 0, mark.to_be_bytes().to_vec())) {
            self.health.asked(mark);
        }
    }

    /// How long a PING has been unanswered, in milliseconds. It is 0 while this side does not read from the host.
    pub(crate) fn silent_for(&self) -> u64 {
        if self.budget.is_exhausted() { 0 } else { self.health.silent_for() }
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
        warn!(host = self.number, why = ending.cause, "the runner closed its connection to a graph host");
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

async fn receive<S>(host: Arc<Host>, mut source: SplitStream<Framed<S, FrameCodec>>)
where
    S: AsyncRead,
{
    let budget = Arc::clone(&host.budget);
    loop {
        let next = async {
            budget.room().await;
            source.next().await
        };
        let frame = tokio::select! {
            frame = next => frame,
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
    host.closed.send_replace(true);
    host.cut.cancel();
    // The watcher of a process buries its host, because it knows the exit status.
    if host.is_runner() {
        host.runs.lock().clear();
        host.waiting.lock().clear();
        host.exchanges.lock().clear();
    }
}

/// Handles an event or the end of a run.
fn take_output(host: &Arc<Host>, frame: Frame) {
    let (handle, length, last) = (frame.stream, frame.payload.len(), frame.kind == Kind::Done);
    let mut runs = host.runs.lock();
    let Some(run) = runs.get(&handle) else {
        drop(runs);
        if last {
            host.fitness().has_ended(handle);
        }
        return;
    };
    if !last && !run.credit.spend(length) {
        drop(runs);
        return overdrawn(host, handle);
    }
    // If the reader has stopped, it has already withdrawn the run.
    let _ = run.messages.send(RunMessage::Frame(frame, host.share(length)));
    if last {
        runs.remove(&handle);
    }
}

/// Handles a run that sent more events than its credit allows.
fn overdrawn(host: &Arc<Host>, handle: u32) {
    let ending = Ending::new(Guilt::Run(handle), "the run sent more events than its credit allows");
    if !host.is_runner() {
        return host.convict(ending);
    }
    // The runner's other hosts are not to blame. The runner should have closed its connection to this host.
    if let Some(run) = host.runs.lock().remove(&handle) {
        let _ = run.messages.send(RunMessage::Lost(ending.loss(handle, &Aboard::default())));
    }
    if let Ok(cancel) = serde_json::to_vec(&handed_back()) {
        host.send(Frame::new(Kind::Cancel, handle, cancel));
    }
}

fn dispatch(host: &Arc<Host>, frame: Frame) {
    if let (Some(relay), true) = (&host.owner.relay, !matches!(frame.kind, Kind::Pong | Kind::Status)) {
        relay.take(host, frame);
        return;
    }
    match frame.kind {
        Kind::Event | Kind::Done => take_output(host, frame),
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
        // A host of the runner died. Callers detect it, because removing the call closes its channel.
        Kind::Lost => {
            let run = host.runs.lock().remove(&frame.stream);
            if let (Some(run), Ok(lost)) = (run, from_json::<Lost>("runner.lost", &frame.payload)) {
                let _ = run.messages.send(RunMessage::Lost(lost.into()));
            }
            host.waiting.lock().remove(&frame.stream);
        }
        Kind::Status => match from_json::<Status>("runner.status", &frame.payload) {
            Ok(status) if host.is_runner() => {
                *host.status.lock() = status;
                host.owner.changed.notify_waiters();
            }
            Ok(status) if status.draining => host.fitness().asks_to_be_replaced(),
            Ok(_) => {}
            Err(error) => warn!(host = host.number, %error, "cannot decode a STATUS frame"),
        },
        other => {
            warn!(host = host.number, kind = ?other, "a graph host sent a frame of a kind that hosts must not send")
        }
    }
}

/// The sending half of an answer.
pub(super) type Answer = oneshot::Sender<Frame>;
