//! The runs, calls and exchanges of one client.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use langopen_core::executor::{AttemptLost, Blame};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::frame::{Frame, Kind};
use crate::host::{CANCEL_GRACE, Credit, HOSTS, Host, Lost, Share};
use crate::pool::Alone;

/// The runs, calls and exchanges of one client.
pub(super) struct Table {
    /// Whether the client is connected. Its cancelled runs may take a moment longer to end, and hold their numbers
    /// meanwhile.
    pub(super) open: bool,
    /// Runs, calls and exchanges that the client began, by handle.
    pub(super) begun: HashMap<u32, Begun>,
    /// Runs that wait for a host of their own. The token ends the wait.
    pub(super) waiting: HashMap<u32, CancellationToken>,
    /// Calls of hosts, by the client's number.
    pub(super) calls: HashMap<u32, Asked>,
    /// Exchanges that hosts began, by the client's number.
    pub(super) exchanges: HashMap<u32, Asked>,
    next: u32,
}

/// A run, call or exchange that a client began.
pub(super) struct Begun {
    /// RUN, SUSPECT, CALL or HTTP_REQUEST.
    pub(super) kind: Kind,
    pub(super) host: Arc<Host>,
    /// The credit of a run.
    pub(super) credit: Credit,
    /// When the client cancelled the run.
    cancelled: Option<Instant>,
    count: watch::Sender<usize>,
    /// The run's own host, if it has one.
    _alone: Option<Alone>,
}

/// A call or exchange of a host, with the host's id for it.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) host: Arc<Host>,
    pub(super) id: u32,
    /// The share of the budget that a call takes until it is answered.
    pub(super) _share: Option<Arc<Share>>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            open: true,
            begun: HashMap::new(),
            waiting: HashMap::new(),
            calls: HashMap::new(),
            exchanges: HashMap::new(),
            next: 0,
        }
    }
}

impl Table {
    /// Assigns a number to a host's call; `None` if the client has disconnected.
    pub(super) fn call(&mut self, asked: Asked) -> Option<u32> {
        if !self.open {
            return None;
        }
        let number = self.free(|table, number| table.calls.contains_key(&number));
        self.calls.insert(number, asked);
        Some(number)
    }

    /// Assigns a number to a host's exchange; `None` if the client has disconnected.
    pub(super) fn exchange(&mut self, asked: Asked) -> Option<u32> {
        if !self.open {
            return None;
        }
        let number = HOSTS | self.free(|table, number| table.exchanges.contains_key(&(HOSTS | number)));
        self.exchanges.insert(number, asked);
        Some(number)
    }

    /// Whether the client began this work, and it is in flight on this host.
    pub(super) fn has_begun(&self, host: &Arc<Host>, number: u32) -> bool {
        self.begun.get(&number).is_some_and(|begun| Arc::ptr_eq(&begun.host, host))
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
    pub(super) fn new(kind: Kind, host: &Arc<Host>, count: &watch::Sender<usize>, alone: Option<Alone>) -> Self {
        host.count(1);
        count.send_modify(|count| *count += 1);
        let (host, count) = (Arc::clone(host), count.clone());
        Self { kind, host, credit: Credit::default(), cancelled: None, count, _alone: alone }
    }

    pub(super) fn is_run(&self) -> bool {
        matches!(self.kind, Kind::Run | Kind::Suspect)
    }

    /// Records that the client cancelled it or disconnected.
    pub(super) fn is_cancelled(&mut self) {
        self.cancelled.get_or_insert_with(Instant::now);
    }

    /// Whether it was cancelled and has not ended in time.
    pub(super) fn is_overdue(&self) -> bool {
        self.is_run() && self.cancelled.is_some_and(|since| since.elapsed() > CANCEL_GRACE)
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.host.count(-1);
        self.count.send_modify(|count| *count -= 1);
    }
}

/// The frame that ends a run, a call or an exchange whose host died.
pub(super) fn lost(kind: Kind, number: u32, loss: AttemptLost) -> Frame {
    match kind {
        Kind::HttpRequest => Frame::new(Kind::HttpAbort, number, Bytes::new()),
        Kind::Run | Kind::Suspect => {
            // Two texts always encode as JSON.
            Frame::new(Kind::Lost, number, serde_json::to_vec(&Lost::from(loss)).unwrap_or_default())
        }
        _ => Frame::new(Kind::Lost, number, Bytes::new()),
    }
}

/// The frame that ends a run, a call or an exchange that did not begin.
pub(super) fn not_begun(kind: Kind, number: u32, why: &str) -> Frame {
    lost(kind, number, AttemptLost::new(Blame::Bystander, why))
}

impl Asked {
    pub(super) fn is_of(&self, host: &Arc<Host>) -> bool {
        Arc::ptr_eq(&self.host, host)
    }
}
