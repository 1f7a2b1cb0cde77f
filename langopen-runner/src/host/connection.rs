//! A connected host: the frames that go out and come in, and who waits for them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use langopen_core::executor::GraphInfo;
use metrics::{Gauge, gauge};
use parking_lot::Mutex;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::codec::Framed;
use tracing::{Span, debug, warn};

use super::calls::Waiting;
use super::process::Loaded;
use super::serve::Reach;
use super::spans::Traced;
use super::web::{self, Exchange, WebApi, WebApp};
use super::{logs, serve, spans};
use crate::frame::payload::ReadyAuth;
use crate::frame::{Frame, FrameCodec, Kind};
use crate::metrics::HOST_LOAD;

/// How many frames may wait for the socket before a sender waits too.
const FRAMES_AHEAD: usize = 1024;

/// A run in flight on a host.
pub(super) struct InFlight {
    /// EVENT and DONE frames. Unbounded, because the run's credit bounds it.
    pub(super) frames: mpsc::UnboundedSender<Frame>,
    pub(super) reach: Reach,
    /// The span that it executes in: what its graph prints and logs is logged there.
    pub(super) span: Span,
    /// The trace that it is recorded in, if it is.
    pub(super) traced: Option<Traced>,
}

/// A connected host.
pub(crate) struct Host {
    /// Its place among the hosts, for logs.
    pub(super) number: usize,
    pub(super) loaded: Loaded,
    pub(super) outgoing: mpsc::Sender<Frame>,
    pub(super) runs: Mutex<HashMap<u32, InFlight>>,
    pub(super) waiting: Mutex<HashMap<u32, Waiting>>,
    pub(super) exchanges: Mutex<HashMap<u32, Exchange>>,
    /// The API for requests of the application's own.
    pub(super) api: Arc<OnceLock<Arc<dyn WebApi>>>,
    next_handle: AtomicU32,
    load: AtomicUsize,
    shown_load: Gauge,
    health: Health,
    closed: watch::Sender<bool>,
}

/// When the host was asked, and when it last answered, in milliseconds since `start`; 0 for never.
struct Health {
    start: Instant,
    asked: AtomicU64,
    answered: AtomicU64,
}

impl Host {
    /// Takes over a connection after its handshake, and starts to serve it.
    pub(super) fn attach(
        number: usize,
        loaded: Loaded,
        api: Arc<OnceLock<Arc<dyn WebApi>>>,
        connection: Framed<UnixStream, FrameCodec>,
    ) -> Arc<Self> {
        let (outgoing, queued) = mpsc::channel(FRAMES_AHEAD);
        let host = Arc::new(Self {
            number,
            loaded,
            outgoing,
            runs: Mutex::default(),
            waiting: Mutex::default(),
            exchanges: Mutex::default(),
            api,
            next_handle: AtomicU32::new(1),
            load: AtomicUsize::new(0),
            shown_load: gauge!(HOST_LOAD, "host" => number.to_string()),
            health: Health { start: Instant::now(), asked: AtomicU64::new(0), answered: AtomicU64::new(0) },
            closed: watch::Sender::new(false),
        });
        let (sink, source) = connection.split();
        tokio::spawn(send(sink, queued));
        tokio::spawn(receive(Arc::clone(&host), source));
        host
    }

    /// The graphs that it loaded.
    pub(crate) fn graphs(&self) -> &[GraphInfo] {
        &self.loaded.graphs
    }

    /// The version of langgraph that runs them.
    pub(crate) fn langgraph_version(&self) -> &str {
        &self.loaded.langgraph_version
    }

    /// What the application's `Auth` object handles.
    pub(crate) fn auth(&self) -> Option<&ReadyAuth> {
        self.loaded.auth.as_ref()
    }

    /// The application's own web app.
    pub(crate) fn web_app(&self) -> Option<&WebApp> {
        self.loaded.http.as_ref()
    }

    /// Runs, calls and exchanges in flight.
    pub(crate) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self, change: isize) {
        self.load.fetch_add(change as usize, Ordering::Relaxed);
        self.shown_load.increment(change as f64);
    }

    pub(super) fn next_handle(&self) -> u32 {
        self.next_handle.fetch_add(1, Ordering::Relaxed)
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

    /// Asks for a sign of life, unless one is still owed.
    pub(crate) fn ping(&self) {
        let now = self.health.now();
        let (asked, answered) =
            (self.health.asked.load(Ordering::Relaxed), self.health.answered.load(Ordering::Relaxed));
        if answered < asked {
            return;
        }
        if self.outgoing.try_send(Frame::new(Kind::Ping, 0, now.to_be_bytes().to_vec())).is_ok() {
            self.health.asked.store(now, Ordering::Relaxed);
        }
    }

    /// For how many milliseconds it has owed a sign of life.
    pub(crate) fn silent_for(&self) -> u64 {
        let (asked, answered) =
            (self.health.asked.load(Ordering::Relaxed), self.health.answered.load(Ordering::Relaxed));
        if answered < asked { self.health.now().saturating_sub(asked) } else { 0 }
    }

    /// Asks it to end.
    pub(crate) async fn shut_down(&self) {
        // A host that is gone needs no shutdown.
        let _ = self.outgoing.send(Frame::new(Kind::Shutdown, 0, Bytes::new())).await;
    }
}

impl Health {
    fn now(&self) -> u64 {
        // Never 0, which stands for never.
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }
}

async fn send(
    mut sink: futures::stream::SplitSink<Framed<UnixStream, FrameCodec>, Frame>,
    mut queued: mpsc::Receiver<Frame>,
) {
    let mut frames = Vec::new();
    while queued.recv_many(&mut frames, FRAMES_AHEAD).await > 0 {
        for frame in frames.drain(..) {
            if let Err(error) = sink.feed(frame).await {
                debug!(%error, "the connection to a graph host broke while sending");
                return;
            }
        }
        if sink.flush().await.is_err() {
            return;
        }
    }
}

async fn receive(host: Arc<Host>, mut source: futures::stream::SplitStream<Framed<UnixStream, FrameCodec>>) {
    while let Some(frame) = source.next().await {
        match frame {
            Ok(frame) => dispatch(&host, frame),
            Err(error) => {
                warn!(host = host.number, %error, "the connection to a graph host broke");
                break;
            }
        }
    }
    // Whoever waits learns it from the end of its channel.
    host.closed.send_replace(true);
    host.runs.lock().clear();
    host.waiting.lock().clear();
    host.exchanges.lock().clear();
}

fn dispatch(host: &Arc<Host>, frame: Frame) {
    match frame.kind {
        Kind::Event | Kind::Done => {
            let mut runs = host.runs.lock();
            if let Some(run) = runs.get(&frame.stream) {
                let (stream, last) = (frame.stream, frame.kind == Kind::Done);
                // A reader that is gone has withdrawn the run already.
                let _ = run.frames.send(frame);
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
            if let Ok(asked) = <[u8; 8]>::try_from(&frame.payload[..]) {
                host.health.answered.store(u64::from_be_bytes(asked), Ordering::Relaxed);
            }
        }
        other => warn!(host = host.number, kind = ?other, "a graph host sent a frame that is not its to send"),
    }
}

/// The sending half of an answer.
pub(super) type Answer = oneshot::Sender<Frame>;
