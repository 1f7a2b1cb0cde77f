//! Passes the frames of hosts on to clients. Nothing here waits for a client: its queue takes every frame, and the
//! budgets of the hosts bound the queue.

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use tracing::{debug, warn};

use super::session::Session;
use super::switch::{Route, Switch, refuse};
use super::table::{Asked, lost};
use crate::frame::payload::{Caller, from_json};
use crate::frame::{Frame, Kind};
use crate::host::{Aboard, Ending, Guilt, HOSTS, Host, Outgoing, Relay, write_log};

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
            let share = Some(host.share(&frame));
            session.push(Outgoing { frame, share });
        } else if over {
            self.forget(&session);
        }
    }

    /// Passes a host's call to the client that began its run or call.
    fn call(&self, host: &Arc<Host>, frame: Frame) {
        let share = Arc::new(host.share(&frame));
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
        let route = Route { host: Arc::clone(host), session: Arc::clone(&session), number };
        self.exchanges.lock().insert((host.number, id), route);
        let share = Some(host.share(&frame));
        session.push(Outgoing { frame: Frame { stream: number, ..frame }, share });
    }

    /// Passes on a later frame of an exchange that a host began.
    fn go_on(&self, host: &Arc<Host>, frame: Frame) {
        let mut exchanges = self.exchanges.lock();
        let key = (host.number, frame.stream);
        let Some(route) = exchanges.get(&key).filter(|route| Arc::ptr_eq(&route.host, host)) else { return };
        let (session, number) = (Arc::clone(&route.session), route.number);
        if frame.kind == Kind::HttpAbort {
            exchanges.remove(&key);
            drop(exchanges);
            session.table.lock().exchanges.remove(&number);
        }
        let share = Some(host.share(&frame));
        session.push(Outgoing { frame: Frame { stream: number, ..frame }, share });
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
                    let share = Some(host.share(&frame));
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
        self.exchanges.lock().retain(|_, route| !Arc::ptr_eq(&route.host, host));
        let sessions = self.sessions();
        let aboard = aboard(host, &sessions);
        for session in sessions {
            let mut frames = Vec::new();
            let mut table = session.table.lock();
            table.begun.retain(|number, begun| {
                let remains = !Arc::ptr_eq(&begun.host, host);
                if !remains {
                    frames.push(lost(begun.kind, *number, ending.loss(*number, &aboard)));
                }
                remains
            });
            table.calls.retain(|_, asked| !asked.is_of(host));
            table.exchanges.retain(|number, asked| {
                let remains = !asked.is_of(host);
                if !remains {
                    frames.push(Frame::new(Kind::HttpAbort, *number, Bytes::new()));
                }
                remains
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
