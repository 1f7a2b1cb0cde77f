//! What is in flight for one client.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::frame::{Frame, Kind};
use crate::host::{HOSTS, Host};

/// What is in flight for one client.
pub(super) struct Table {
    /// Whether the client is there. What it began may outlast it for a moment, and keeps its number so long.
    pub(super) open: bool,
    /// What the client began, by its number for it.
    pub(super) begun: HashMap<u32, Begun>,
    /// Calls that hosts made, by the number that the client knows.
    pub(super) calls: HashMap<u32, Asked>,
    /// Exchanges that hosts began, by the number that the client knows.
    pub(super) exchanges: HashMap<u32, Asked>,
    next: u32,
}

/// A run, call or exchange that a client began.
pub(super) struct Begun {
    /// RUN, CALL or HTTP_REQUEST.
    pub(super) kind: Kind,
    pub(super) host: Arc<Host>,
    count: watch::Sender<usize>,
}

/// A call or exchange of a host, with the host's own number for it.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) host: Arc<Host>,
    pub(super) id: u32,
}

impl Default for Table {
    fn default() -> Self {
        Self { open: true, begun: HashMap::new(), calls: HashMap::new(), exchanges: HashMap::new(), next: 0 }
    }
}

impl Table {
    /// A number for a host's call, if the client is there.
    pub(super) fn call(&mut self, asked: Asked) -> Option<u32> {
        if !self.open {
            return None;
        }
        let number = self.free(|table, number| table.calls.contains_key(&number));
        self.calls.insert(number, asked);
        Some(number)
    }

    /// A number for a host's exchange, if the client is there.
    pub(super) fn exchange(&mut self, asked: Asked) -> Option<u32> {
        if !self.open {
            return None;
        }
        let number = HOSTS | self.free(|table, number| table.exchanges.contains_key(&(HOSTS | number)));
        self.exchanges.insert(number, asked);
        Some(number)
    }

    fn free(&mut self, taken: impl Fn(&Self, u32) -> bool) -> u32 {
        loop {
            self.next = self.next.wrapping_add(1) % HOSTS;
            if !taken(self, self.next) {
                return self.next;
            }
        }
    }
}

impl Begun {
    pub(super) fn new(kind: Kind, host: &Arc<Host>, count: &watch::Sender<usize>) -> Self {
        host.count(1);
        count.send_modify(|count| *count += 1);
        Self { kind, host: Arc::clone(host), count: count.clone() }
    }

    /// What tells the client that nothing more comes, as the host is gone.
    pub(super) fn lost(&self, number: u32) -> Frame {
        lost(self.kind, number)
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.host.count(-1);
        self.count.send_modify(|count| *count -= 1);
    }
}

/// What tells a client that nothing comes of what it began.
pub(super) fn lost(kind: Kind, number: u32) -> Frame {
    let kind = if kind == Kind::HttpRequest { Kind::HttpAbort } else { Kind::Lost };
    Frame::new(kind, number, bytes::Bytes::new())
}

impl Asked {
    pub(super) fn is_of(&self, host: &Arc<Host>) -> bool {
        Arc::ptr_eq(&self.host, host)
    }
}
