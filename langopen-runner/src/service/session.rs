//! One client: what it sends goes to the hosts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use metrics::gauge;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Inside;
use super::greet::{Client, Connection, refuse};
use super::table::{Begun, Table, lost};
use crate::frame::{Frame, Kind};
use crate::greeting::{RUNNER_PROTOCOL, RunnerReady};
use crate::host::{HOSTS, write_frames};
use crate::metrics::RUNNER_CLIENTS;
use crate::pool::{Need, Source, Work, best};

/// A client asks for signs of life twenty times as often; one that is silent for so long is gone, and has lost the leases of its runs.
const SILENCE: Duration = Duration::from_secs(10);

/// How many bytes may wait for a client that does not take them. Events are bounded by each run's credit; what hosts ask is not.
const MAX_QUEUED: usize = 512 * 1024 * 1024;

/// One client.
pub(super) struct Session {
    pub(super) number: u32,
    pub(super) serves_api: bool,
    pub(super) table: Mutex<Table>,
    out: mpsc::UnboundedSender<Frame>,
    queued: AtomicUsize,
    cut: CancellationToken,
}

impl Session {
    pub(super) fn new(number: u32, client: &Client) -> (Arc<Self>, mpsc::UnboundedReceiver<Frame>) {
        let (out, queue) = mpsc::unbounded_channel();
        let session = Self {
            number,
            serves_api: client.serves_api,
            table: Mutex::default(),
            out,
            queued: AtomicUsize::new(0),
            cut: CancellationToken::new(),
        };
        (Arc::new(session), queue)
    }

    /// Sends the client a frame.
    pub(super) fn push(&self, frame: Frame) {
        let length = frame.payload.len();
        if self.queued.fetch_add(length, Ordering::Relaxed) + length > MAX_QUEUED {
            warn!(client = self.number, "a client does not take what it is sent; it is cut off");
            self.cut();
        }
        // A client that is gone misses nothing.
        let _ = self.out.send(frame);
    }

    /// Ends the connection.
    pub(super) fn cut(&self) {
        self.cut.cancel();
    }
}

/// Serves a client until it is gone.
pub(super) async fn serve(inside: &Inside, client: Client, mut connection: Connection) {
    let Some((session, queue)) = inside.switch.admit(&client) else {
        refuse(&mut connection, "the runner has too many clients").await;
        return;
    };
    gauge!(RUNNER_CLIENTS).increment(1);
    let _leave = Leave { inside, session: Arc::clone(&session) };
    let Some(ready) = ready(inside, &session, &client) else { return };
    if connection.send(ready).await.is_err() {
        return;
    }
    let (sink, mut source) = connection.split();
    let writing = write_frames(sink, queue, |length| {
        session.queued.fetch_sub(length, Ordering::Relaxed);
    });
    let reading = async {
        loop {
            match tokio::time::timeout(SILENCE, source.next()).await {
                Ok(Some(Ok(frame))) => {
                    if let Err(why) = pass(inside, &session, frame) {
                        warn!(client = session.number, why, "a client broke the rules; it is cut off");
                        return;
                    }
                }
                Ok(Some(Err(error))) => {
                    warn!(client = session.number, %error, "the connection of a client broke");
                    return;
                }
                Ok(None) => return,
                Err(_) => {
                    warn!(client = session.number, "a client gave no sign of life; it is cut off");
                    return;
                }
            }
        }
    };
    tokio::select! {
        () = writing => {}
        () = reading => {}
        () = session.cut.cancelled() => {}
    }
}

/// Closes the session when its client is gone, however that came.
struct Leave<'a> {
    inside: &'a Inside,
    session: Arc<Session>,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.inside.switch.close(&self.session);
        gauge!(RUNNER_CLIENTS).decrement(1);
    }
}

fn ready(inside: &Inside, session: &Session, client: &Client) -> Option<Frame> {
    let settings = inside.door.settings();
    let headers = settings.webhook_headers.iter().filter(|_| client.delivers_webhooks);
    let ready = RunnerReady {
        protocol: RUNNER_PROTOCOL,
        name: settings.name.clone(),
        tenant: settings.tenant.to_string(),
        handles: super::switch::handles(session.number),
        offer: (*inside.hosts.offer()).clone(),
        app: settings.app.clone(),
        webhook_headers: headers.map(|(name, value)| (name.clone(), value.expose().to_owned())).collect(),
        status: inside.hosts.status(inside.is_draining()),
    };
    match serde_json::to_vec(&ready) {
        Ok(payload) => Some(Frame::new(Kind::Ready, 0, payload)),
        Err(error) => {
            warn!(%error, "what the runner offers has no JSON form");
            None
        }
    }
}

/// Passes a client's frame on to the host that it is for.
fn pass(inside: &Inside, session: &Session, frame: Frame) -> Result<(), &'static str> {
    match frame.kind {
        Kind::Ping => session.push(Frame::new(Kind::Pong, 0, frame.payload)),
        Kind::Run | Kind::Call | Kind::HttpRequest => return begin(inside, session, frame),
        Kind::Reply | Kind::Error => {
            let asked = session.table.lock().calls.remove(&frame.stream);
            if let Some(asked) = asked {
                asked.host.send(Frame { stream: asked.id, ..frame });
            }
        }
        Kind::Cancel | Kind::Credit => go_on(session, frame),
        Kind::HttpResponse | Kind::HttpBody | Kind::HttpEnd | Kind::HttpCredit | Kind::HttpAbort => {
            match frame.stream < HOSTS {
                true => go_on(session, frame),
                false => inside.switch.answer(session, frame),
            }
        }
        _ => return Err("it sent a frame that is not its to send"),
    }
    Ok(())
}

/// What the client begins goes to the best host.
fn begin(inside: &Inside, session: &Session, frame: Frame) -> Result<(), &'static str> {
    let (first, last) = super::switch::handles(session.number);
    let mut table = session.table.lock();
    if !(first..=last).contains(&frame.stream) || table.begun.contains_key(&frame.stream) {
        return Err("it chose a number that is not its to choose");
    }
    // A run that was on its way when we said that we are about to end may still come: it has the grace period.
    let need =
        if inside.hosts.are_alike() { Need::Nothing } else { Need::of(&frame).as_offered(&inside.hosts.offer()) };
    let Some(host) = best(inside.hosts.hosts(), Work::Question, &need) else {
        drop(table);
        session.push(lost(frame.kind, frame.stream));
        return Ok(());
    };
    let (kind, number) = (frame.kind, frame.stream);
    table.begun.insert(number, Begun::new(kind, &host, inside.switch.count()));
    // A host that has just died finds what it lost by itself, unless it did so before this was there.
    if !host.send(frame) && table.begun.remove(&number).is_some() {
        drop(table);
        session.push(lost(kind, number));
    }
    Ok(())
}

/// More of what the client began. What is over already is nobody's any more.
fn go_on(session: &Session, frame: Frame) {
    let mut table = session.table.lock();
    let last = frame.kind == Kind::HttpAbort;
    match last {
        true => {
            if let Some(begun) = table.begun.remove(&frame.stream) {
                begun.host.send(frame);
            }
        }
        false => {
            if let Some(begun) = table.begun.get(&frame.stream) {
                begun.host.send(frame);
            }
        }
    }
}
