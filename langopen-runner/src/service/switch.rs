//! Passes the frames of hosts on to clients.
//!
//! Each client chooses its numbers from its own range, so numbers in payloads need no change. Numbers that hosts choose
//! occur only in frame headers; the switch replaces them by numbers that are unique on the client's connection.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::sync::{Notify, mpsc, watch};
use tracing::{debug, warn};

use super::greet::Client;
use super::session::Session;
use super::table::{Asked, Begun, Table, lost};
use crate::frame::payload::{CallError, Caller, from_json};
use crate::frame::{Frame, Kind};
use crate::host::{Aboard, Ending, Guilt, HOSTS, Host, Outgoing, Relay, Status, handed_back, write_log};

/// The number of low bits that a client chooses. The high bits are the client's own number.
const BITS: u32 = 21;

/// The most clients at a time. Their numbers, shifted by `BITS`, stay below the numbers that hosts choose.
const CLIENTS: u32 = HOSTS >> BITS;

/// The first and the last number that a client may choose.
pub(super) fn handles(client: u32) -> (u32, u32) {
    (client << BITS, (client << BITS) | ((1 << BITS) - 1))
}

/// The clients, and the exchanges that hosts began.
#[derive(Default)]
pub(super) struct Switch {
    sessions: Mutex<Sessions>,
    /// Exchanges that hosts began, by the number of the host and the exchange's id there.
    exchanges: Mutex<HashMap<(usize, u32), Placed>>,
    /// The number of runs, calls and exchanges that clients have in flight.
    count: watch::Sender<usize>,
    host_lost: Notify,
}

#[derive(Default)]
struct Sessions {
    by_number: HashMap<u32, Arc<Session>>,
    last: u32,
}

/// The client of an exchange that a host began, and the client's number for it.
struct Placed {
    host: Arc<Host>,
    session: Arc<Session>,
    number: u32,
}

/// The run or call that a host's call belongs to.
#[derive(Deserialize)]
struct CallOrigin {
    params: Caller,
}

/// The exchange or run that a host's request belongs to.
#[derive(Deserialize)]
struct RequestOrigin {
    #[serde(default)]
    parent: Option<u32>,
    #[serde(default)]
    run: Option<u32>,
    #[serde(default)]
    within: Option<u32>,
}

impl Switch {
    /// Admits a client; `None` if there are too many. A number is reused as late as possible, so that runs of an
    /// earlier client are not mistaken for those of a new one.
    pub(super) fn admit(&self, client: &Client) -> Option<(Arc<Session>, mpsc::UnboundedReceiver<Outgoing>)> {
        let mut sessions = self.sessions.lock();
        let last = sessions.last;
        // No client has the number 0, so no handle is 0.
        let number = (1..CLIENTS)
            .map(|step| 1 + (last + step - 1) % (CLIENTS - 1))
            .find(|n| !sessions.by_number.contains_key(n))?;
        sessions.last = number;
        let (session, queue) = Session::new(number, client);
        sessions.by_number.insert(number, Arc::clone(&session));
        Some((session, queue))
    }

    /// Cancels the runs of a disconnected client, and refuses the calls that wait for its answers.
    pub(super) fn close(&self, session: &Arc<Session>) {
        let mut table = session.table.lock();
        table.open = false;
        let cancel = serde_json::to_vec(&handed_back()).map(Bytes::from).unwrap_or_default();
        table.waiting.drain().for_each(|(_, wait)| wait.cancel());
        table.begun.values_mut().for_each(Begun::is_cancelled);
        table.begun.retain(|number, begun| match begun.kind {
            Kind::Run | Kind::Suspect => begun.host.send(Frame::new(Kind::Cancel, *number, cancel.clone())),
            Kind::HttpRequest => {
                begun.host.send(Frame::new(Kind::HttpAbort, *number, Bytes::new()));
                false
            }
            _ => true,
        });
        for (_, asked) in table.calls.drain() {
            refuse(&asked, "unavailable", "the worker or API server of the run disconnected");
        }
        let exchanges: Vec<_> = table.exchanges.drain().map(|(_, asked)| asked).collect();
        let over = table.begun.is_empty();
        drop(table);
        for asked in exchanges {
            self.exchanges.lock().remove(&(asked.host.number, asked.id));
            asked.host.send(Frame::new(Kind::HttpAbort, asked.id, Bytes::new()));
        }
        if over {
            self.forget(session);
        }
    }

    /// The number of runs, calls and exchanges in flight.
    pub(super) fn count(&self) -> &watch::Sender<usize> {
        &self.count
    }

    /// Waits at most `grace` until clients have nothing in flight. Returns how much is left.
    pub(super) async fn wait_until_idle(&self, grace: Duration) -> usize {
        let mut count = self.count.subscribe();
        // `self` holds the sender, so waiting cannot fail.
        let _ = tokio::time::timeout(grace, count.wait_for(|count| *count == 0)).await;
        *self.count.borrow()
    }

    /// Sends all clients the status of the hosts.
    pub(super) fn tell(&self, status: Status) {
        let Ok(payload) = serde_json::to_vec(&status).map(Bytes::from) else { return };
        for session in self.open() {
            session.push(Frame::new(Kind::Status, 0, payload.clone()));
        }
    }

    /// Finds cancelled runs that have not ended in time. Their clients have stopped waiting, and their hosts are unfit.
    pub(super) fn find_overdue(&self) {
        let sessions: Vec<_> = self.sessions.lock().by_number.values().cloned().collect();
        for session in sessions {
            let mut table = session.table.lock();
            let overdue: Vec<_> = table.begun.extract_if(|_, begun| begun.is_overdue()).collect();
            let over = !table.open && table.begun.is_empty() && !overdue.is_empty();
            drop(table);
            for (number, begun) in overdue {
                begun.host.fitness().is_leaving(number, tokio::time::Instant::now());
            }
            if over {
                self.forget(&session);
            }
        }
    }

    /// Waits until a host is lost.
    pub(super) async fn host_lost(&self) {
        self.host_lost.notified().await;
    }

    pub(super) fn cut_all(&self) {
        self.open().iter().for_each(|session| session.cut());
    }

    /// Passes on a client's frame of an exchange that a host began.
    pub(super) fn answer(&self, session: &Session, frame: Frame) {
        let last = matches!(frame.kind, Kind::HttpEnd | Kind::HttpAbort);
        let asked = {
            let mut table = session.table.lock();
            if last { table.exchanges.remove(&frame.stream) } else { table.exchanges.get(&frame.stream).cloned() }
        };
        let Some(asked) = asked else { return };
        if last {
            self.exchanges.lock().remove(&(asked.host.number, asked.id));
        }
        asked.host.send(Frame { stream: asked.id, ..frame });
    }

    fn open(&self) -> Vec<Arc<Session>> {
        let all: Vec<_> = self.sessions.lock().by_number.values().cloned().collect();
        all.into_iter().filter(|session| session.table.lock().open).collect()
    }

    fn forget(&self, session: &Session) {
        self.sessions.lock().by_number.remove(&session.number);
    }

    /// The client whose range contains the number, even after it has disconnected.
    fn chooser(&self, number: u32) -> Option<Arc<Session>> {
        self.sessions.lock().by_number.get(&(number >> BITS)).cloned()
    }

    /// The connected client that began this work on the host.
    fn beginner(&self, host: &Arc<Host>, number: u32) -> Option<Arc<Session>> {
        self.chooser(number).filter(|session| {
            let table = session.table.lock();
            table.open && is_on(&table, host, number)
        })
    }

    /// Passes a frame to the client that began the run, call or exchange.
    fn pass(&self, host: &Arc<Host>, frame: Frame) {
        let Some(session) = self.chooser(frame.stream) else { return };
        let last = matches!(frame.kind, Kind::Done | Kind::Reply | Kind::Error | Kind::HttpEnd | Kind::HttpAbort);
        let mut table = session.table.lock();
        let Some(begun) = table.begun.get(&frame.stream).filter(|begun| Arc::ptr_eq(&begun.host, host)) else {
            drop(table);
            if frame.kind == Kind::Done {
                host.fitness().has_ended(frame.stream);
            }
            return;
        };
        if frame.kind == Kind::Event && !begun.credit.spend(frame.payload.len()) {
            drop(table);
            let why = "the run sent more events than its credit allows";
            return host.convict(Ending::new(Guilt::Run(frame.stream), why));
        }
        let ended = if last { table.begun.remove(&frame.stream) } else { None };
        let (open, over) = (table.open, !table.open && table.begun.is_empty());
        drop(table);
        drop(ended);
        if open {
            let share = Some(host.share(frame.payload.len()));
            session.push(Outgoing { frame, share });
        } else if over {
            self.forget(&session);
        }
    }

    /// Passes a host's call to the client that began its run or call.
    fn call(&self, host: &Arc<Host>, frame: Frame) {
        let share = Arc::new(host.share(frame.payload.len()));
        let asked = Asked { host: Arc::clone(host), id: frame.stream, _share: Some(share) };
        let Ok(CallOrigin { params }) = rmp_serde::from_slice(&frame.payload) else {
            return refuse(&asked, "invalid", "the call cannot be decoded");
        };
        let begun = [params.run, params.call].into_iter().flatten();
        let session = begun.filter_map(|number| self.beginner(host, number)).next();
        let number = session.as_ref().and_then(|session| session.table.lock().call(asked.clone()));
        match (session, number) {
            (Some(session), Some(number)) => session.push(Frame { stream: number, ..frame }),
            _ => refuse(&asked, "conflict", "the run or call of this host call has ended"),
        }
    }

    /// Passes a host's request to the client whose exchange it belongs to, or to a client that serves the API.
    fn request(&self, host: &Arc<Host>, frame: Frame) {
        let id = frame.stream;
        let abort = || {
            host.send(Frame::new(Kind::HttpAbort, id, Bytes::new()));
        };
        let Ok(origin) = from_json::<RequestOrigin>("runner.request", &frame.payload) else { return abort() };
        let session = match origin.parent {
            Some(parent) => self.beginner(host, parent),
            None => {
                let own = [origin.within, origin.run].into_iter().flatten();
                let own = own.filter_map(|number| self.beginner(host, number)).find(|session| session.serves_api);
                own.or_else(|| self.open().into_iter().find(|session| session.serves_api))
            }
        };
        let Some(session) = session else {
            debug!(host = host.number, "no connected API server can serve a request of the application");
            return abort();
        };
        let asked = Asked { host: Arc::clone(host), id, _share: None };
        let Some(number) = session.table.lock().exchange(asked) else { return abort() };
        let placed = Placed { host: Arc::clone(host), session: Arc::clone(&session), number };
        self.exchanges.lock().insert((host.number, id), placed);
        session.push(Frame { stream: number, ..frame });
    }

    /// Passes on a later frame of an exchange that a host began.
    fn go_on(&self, host: &Arc<Host>, frame: Frame) {
        let mut exchanges = self.exchanges.lock();
        let key = (host.number, frame.stream);
        let Some(placed) = exchanges.get(&key).filter(|placed| Arc::ptr_eq(&placed.host, host)) else { return };
        let (session, number) = (Arc::clone(&placed.session), placed.number);
        if frame.kind == Kind::HttpAbort {
            exchanges.remove(&key);
            drop(exchanges);
            session.table.lock().exchanges.remove(&number);
        }
        session.push(Frame { stream: number, ..frame });
    }
}

impl Relay for Switch {
    fn take(&self, host: &Arc<Host>, frame: Frame) {
        match frame.kind {
            Kind::Event | Kind::Span | Kind::Done | Kind::Reply | Kind::Error => self.pass(host, frame),
            Kind::Call => self.call(host, frame),
            Kind::HttpRequest => self.request(host, frame),
            Kind::HttpResponse | Kind::HttpBody | Kind::HttpEnd | Kind::HttpCredit | Kind::HttpAbort => {
                match frame.stream < HOSTS {
                    true => self.pass(host, frame),
                    false => self.go_on(host, frame),
                }
            }
            // The worker of a run knows all of the run's ids, so it writes the log.
            Kind::Log => match self.beginner(host, frame.stream) {
                Some(session) => {
                    let share = Some(host.share(frame.payload.len()));
                    session.push(Outgoing { frame, share });
                }
                None => write_log(host, frame.stream, &frame.payload),
            },
            other => {
                warn!(host = host.number, kind = ?other, "a graph host sent a frame of a kind that hosts must not send")
            }
        }
    }

    fn lost(&self, host: &Arc<Host>, ending: &Ending) {
        self.exchanges.lock().retain(|_, placed| !Arc::ptr_eq(&placed.host, host));
        let sessions: Vec<_> = self.sessions.lock().by_number.values().cloned().collect();
        let aboard = aboard(host, &sessions);
        for session in sessions {
            let mut frames = Vec::new();
            let mut table = session.table.lock();
            table.begun.retain(|number, begun| {
                let kept = !Arc::ptr_eq(&begun.host, host);
                if !kept {
                    frames.push(lost(begun.kind, *number, ending.loss(*number, &aboard)));
                }
                kept
            });
            table.calls.retain(|_, asked| !asked.is_of(host));
            table.exchanges.retain(|number, asked| {
                let kept = !asked.is_of(host);
                if !kept {
                    frames.push(Frame::new(Kind::HttpAbort, *number, Bytes::new()));
                }
                kept
            });
            let (open, over) = (table.open, !table.open && table.begun.is_empty());
            drop(table);
            if open {
                frames.into_iter().for_each(|frame| session.push(frame));
            } else if over {
                self.forget(&session);
            }
        }
        self.host_lost.notify_one();
    }
}

/// The runs of all clients on a host, and whether other work is in flight there.
fn aboard(host: &Arc<Host>, sessions: &[Arc<Session>]) -> Aboard {
    let mut aboard = Aboard { runs: Vec::new(), others: host.fitness().has_left_behind() };
    for session in sessions {
        let table = session.table.lock();
        for (number, begun) in table.begun.iter().filter(|(_, begun)| Arc::ptr_eq(&begun.host, host)) {
            match begun.is_run() {
                true => aboard.runs.push((*number, begun.kind == Kind::Suspect)),
                false => aboard.others = true,
            }
        }
    }
    aboard
}

fn is_on(table: &Table, host: &Arc<Host>, number: u32) -> bool {
    table.begun.get(&number).is_some_and(|begun| Arc::ptr_eq(&begun.host, host))
}

/// Answers a host's call with an error.
fn refuse(asked: &Asked, error: &str, message: &str) {
    let error = CallError { error: error.to_owned(), message: message.to_owned() };
    // Two texts always encode as MessagePack.
    let payload = rmp_serde::to_vec_named(&error).unwrap_or_default();
    asked.host.send(Frame::new(Kind::Error, asked.id, payload));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_do_not_meet_and_stay_below_the_hosts_own() {
        let mut end = 0;
        for client in 1..CLIENTS {
            let (first, last) = handles(client);
            assert!(end < first && first < last && last < HOSTS, "{client}");
            end = last;
        }
    }

    #[test]
    fn places_come_round_late_and_are_given_up() {
        let switch = Switch::default();
        let client = Client { name: String::new(), serves_api: false, delivers_webhooks: false };
        let mut seen = Vec::new();
        for _ in 1..CLIENTS {
            let (session, _queue) = switch.admit(&client).unwrap();
            assert!(!seen.contains(&session.number));
            seen.push(session.number);
            if session.number % 2 == 0 {
                switch.close(&session);
            }
        }
        assert_eq!(switch.admit(&client).map(|(session, _)| session.number), Some(2));
    }
}
