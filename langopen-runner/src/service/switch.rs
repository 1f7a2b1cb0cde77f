//! The clients of a runner, and their work on its hosts.
//!
//! Each client chooses its numbers from its own range, so numbers in payloads need no change. Numbers that hosts choose
//! occur only in frame headers; the switch replaces them by numbers that are unique on the client's connection.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, watch};

use super::greet::Client;
use super::session::Session;
use super::table::{Asked, Begun};
use crate::frame::payload::CallError;
use crate::frame::{Frame, Kind};
use crate::host::{HOSTS, Host, Outgoing, Status, handed_back};

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
    pub(super) exchanges: Mutex<HashMap<(usize, u32), Route>>,
    /// The number of runs, calls and exchanges that clients have in flight.
    count: watch::Sender<usize>,
    pub(super) host_lost: Notify,
}

#[derive(Default)]
struct Sessions {
    by_number: HashMap<u32, Arc<Session>>,
    last: u32,
}

/// The client of an exchange that a host began, and the client's number for it.
pub(super) struct Route {
    pub(super) host: Arc<Host>,
    pub(super) session: Arc<Session>,
    pub(super) number: u32,
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
    pub(super) fn announce(&self, status: Status) {
        let Ok(payload) = serde_json::to_vec(&status).map(Bytes::from) else { return };
        for session in self.open() {
            session.push(Frame::new(Kind::Status, 0, payload.clone()));
        }
    }

    /// Finds cancelled runs that have not ended in time. Their clients have stopped waiting, and their hosts are unfit.
    pub(super) fn find_overdue(&self) {
        for session in self.sessions() {
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

    /// All clients whose runs may still execute, connected or not.
    pub(super) fn sessions(&self) -> Vec<Arc<Session>> {
        self.sessions.lock().by_number.values().cloned().collect()
    }

    /// The connected clients.
    pub(super) fn open(&self) -> Vec<Arc<Session>> {
        self.sessions().into_iter().filter(|session| session.table.lock().open).collect()
    }

    /// Forgets a disconnected client whose work has ended.
    pub(super) fn forget(&self, session: &Session) {
        self.sessions.lock().by_number.remove(&session.number);
    }

    /// The client whose range contains the number, even after it has disconnected.
    pub(super) fn chooser(&self, number: u32) -> Option<Arc<Session>> {
        self.sessions.lock().by_number.get(&(number >> BITS)).cloned()
    }

    /// The connected client that began this work on the host.
    pub(super) fn beginner(&self, host: &Arc<Host>, number: u32) -> Option<Arc<Session>> {
        self.chooser(number).filter(|session| {
            let table = session.table.lock();
            table.open && table.has_begun(host, number)
        })
    }
}

/// Answers a host's call with an error.
pub(super) fn refuse(asked: &Asked, error: &str, message: &str) {
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
    fn numbers_come_round_late_and_become_free() {
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
