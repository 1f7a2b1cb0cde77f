//! One client, and the path of its frames to the hosts.

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
use super::table::{Begun, Table, not_begun};
use crate::frame::{Frame, Kind};
use crate::greeting::{RUNNER_PROTOCOL, RunnerReady};
use crate::host::{HOSTS, Host, Outgoing, write_frames};
use crate::metrics::RUNNER_CLIENTS;
use crate::pool::{Alone, Need, Source, Work, best};

/// How long a client may be silent. It sends a PING twenty times as often. After this time, it has lost the leases of
/// its runs.
const SILENCE: Duration = Duration::from_secs(10);

/// The most bytes queued for a client that does not read. Each host's budget bounds its part of them.
const MAX_QUEUED: usize = 512 * 1024 * 1024;

/// One client.
pub(super) struct Session {
    pub(super) number: u32,
    pub(super) serves_api: bool,
    pub(super) table: Mutex<Table>,
    out: mpsc::UnboundedSender<Outgoing>,
    queued: AtomicUsize,
    cut: CancellationToken,
}

impl Session {
    pub(super) fn new(number: u32, client: &Client) -> (Arc<Self>, mpsc::UnboundedReceiver<Outgoing>) {
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

    /// Queues a frame for the client.
    pub(super) fn push(&self, frame: impl Into<Outgoing>) {
        let outgoing = frame.into();
        let length = outgoing.frame.payload.len();
        if self.queued.fetch_add(length, Ordering::Relaxed) + length > MAX_QUEUED {
            warn!(client = self.number, "a client does not read its frames; closing its connection");
            self.cut();
        }
        // A client that has disconnected needs no frames.
        let _ = self.out.send(outgoing);
    }

    /// Closes the connection.
    pub(super) fn cut(&self) {
        self.cut.cancel();
    }
}

/// Serves a client until it disconnects.
pub(super) async fn serve(inside: &Arc<Inside>, client: Client, mut connection: Connection) {
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
                        warn!(
                            client = session.number,
                            reason = why,
                            "a client violated the protocol; closing its connection"
                        );
                        return;
                    }
                }
                Ok(Some(Err(error))) => {
                    warn!(client = session.number, %error, "the connection of a client broke");
                    return;
                }
                Ok(None) => return,
                Err(_) => {
                    warn!(client = session.number, "a client sent nothing for too long; closing its connection");
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

/// Closes the session when the client has disconnected, for whatever reason.
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
            warn!(%error, "cannot encode READY as JSON");
            None
        }
    }
}

/// Passes a client's frame on to its host.
fn pass(inside: &Arc<Inside>, session: &Arc<Session>, frame: Frame) -> Result<(), &'static str> {
    match frame.kind {
        Kind::Ping => session.push(Frame::new(Kind::Pong, 0, frame.payload)),
        Kind::Run | Kind::Suspect | Kind::Call | Kind::HttpRequest => return begin(inside, session, frame),
        Kind::Reply | Kind::Error => {
            let asked = session.table.lock().calls.remove(&frame.stream);
            if let Some(asked) = asked {
                let share = Some(asked.host.share(&frame));
                asked.host.send(Outgoing { frame: Frame { stream: asked.id, ..frame }, share });
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

/// Passes a frame that begins a run, a call or an exchange to the best host.
fn begin(inside: &Arc<Inside>, session: &Arc<Session>, frame: Frame) -> Result<(), &'static str> {
    let (first, last) = super::switch::handles(session.number);
    let number = frame.stream;
    {
        let mut table = session.table.lock();
        let taken = table.begun.contains_key(&number) || table.waiting.contains_key(&number);
        if !(first..=last).contains(&number) || taken {
            return Err("it chose a number that is not its to choose");
        }
        if frame.kind == Kind::Suspect {
            let given_up = CancellationToken::new();
            table.waiting.insert(number, given_up.clone());
            tokio::spawn(begin_alone(Arc::clone(inside), Arc::clone(session), frame, given_up));
            return Ok(());
        }
    }
    begin_beside_others(inside, session, frame);
    Ok(())
}

fn begin_beside_others(inside: &Inside, session: &Session, frame: Frame) {
    let (kind, number) = (frame.kind, frame.stream);
    // A run may arrive after STATUS has announced that this runner drains. It may use the grace period.
    let need =
        if inside.hosts.are_alike() { Need::Nothing } else { Need::of(&frame).as_offered(&inside.hosts.offer()) };
    match best(inside.hosts.hosts(), Work::Question, &need) {
        Some(host) => begin_on(inside, session, &host, None, frame),
        None => session.push(not_begun(kind, number, "the runner has no graph host that is ready")),
    }
}

/// Begins a run that may have ended a host before on a host of its own, as soon as one is free.
async fn begin_alone(inside: Arc<Inside>, session: Arc<Session>, frame: Frame, given_up: CancellationToken) {
    let number = frame.stream;
    let alone = {
        let need = Need::of(&frame);
        tokio::select! {
            alone = inside.hosts.for_a_run_alone(&need) => alone,
            () = given_up.cancelled() => None,
        }
    };
    if session.table.lock().waiting.remove(&number).is_none() {
        return session.push(not_begun(Kind::Suspect, number, "the run was cancelled before it began"));
    }
    match alone {
        Some(alone) => {
            let host = Arc::clone(&alone.host);
            begin_on(&inside, &session, &host, Some(alone), frame);
        }
        None => begin_beside_others(&inside, &session, frame),
    }
}

/// Begins a run, a call or an exchange of the client on a host.
fn begin_on(inside: &Inside, session: &Session, host: &Arc<Host>, alone: Option<Alone>, frame: Frame) {
    let (kind, number) = (frame.kind, frame.stream);
    {
        let mut table = session.table.lock();
        if !table.open {
            return;
        }
        table.begun.insert(number, Begun::new(kind, host, inside.switch.count(), alone));
    }
    // Hosts do not know the kind SUSPECT.
    let kind_there = if kind == Kind::Suspect { Kind::Run } else { kind };
    // If the host dies later, its loss covers this run. If it died already, the loss may have missed this run.
    if !host.send(Frame { kind: kind_there, ..frame }) {
        let begun = session.table.lock().begun.remove(&number);
        if begun.is_some() {
            session.push(not_begun(kind, number, "the graph host died before the run began"));
        }
    }
}

/// Passes on a later frame of a run, a call or an exchange, unless it has ended.
fn go_on(session: &Session, frame: Frame) {
    let table = &mut *session.table.lock();
    match frame.kind {
        Kind::HttpAbort => {
            if let Some(begun) = table.begun.remove(&frame.stream) {
                begun.host.send(frame);
            }
        }
        Kind::Cancel => match (table.begun.get_mut(&frame.stream), table.waiting.remove(&frame.stream)) {
            (Some(begun), _) => {
                begun.is_cancelled();
                begun.host.send(frame);
            }
            (None, Some(wait)) => wait.cancel(),
            (None, None) => {}
        },
        _ => {
            let Some(begun) = table.begun.get(&frame.stream) else { return };
            if let (Kind::Credit, Ok(more)) = (frame.kind, <[u8; 4]>::try_from(&frame.payload[..])) {
                begun.credit.raise(u32::from_be_bytes(more) as usize);
            }
            begun.host.send(frame);
        }
    }
}
