//! Reads a run's events until the run is over, even if signals, events or the log are lost.
//!
//! Normally, the end of the log ends the read. But a signal, a worker or a whole log may be lost. So after each
//! heartbeat without events, the reader reads the run's row. Once the row says that the run is over, further silence
//! ends the read.

use std::fmt;
use std::time::Duration;

use futures::StreamExt;
use tokio::time::timeout;

use super::RunService;
use super::batches::Batches;
use crate::error::Result;
use crate::event_log::{Event, EventId, EventStream, LogKey, NATIVE, ReadFrom};
use crate::tenant::{Scope, Tenant};

/// How long the reader waits for the last events after the row says that the run is over.
const GRACE: Duration = Duration::from_millis(300);

/// The same for a resumable run: its log has an end record, and a slow database may delay a page of it.
const KEPT_GRACE: Duration = Duration::from_secs(2);

/// The same for a run whose row is gone: only the log has its outcome, and this process may have lost the log for a
/// while.
const GONE_GRACE: Duration = Duration::from_secs(10);

/// The result of one read of a [`RunReader`].
#[derive(Debug)]
pub enum RunRead {
    /// Events, in order.
    Events(Vec<Event>),
    /// A whole heartbeat passed without events.
    Idle,
    /// The reader lost events for ever: it was too slow, and the run is not resumable. Later events follow.
    Gap,
}

/// How much of the run's events a reader received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    /// All events, up to the end.
    Complete,
    /// The run is over, but some of its events were lost.
    Partial,
    /// The same, and the run's row is gone, so the outcome is unknown.
    Unknown,
}

/// A reader of one run, from [`RunService::follow`].
pub struct RunReader {
    service: RunService,
    scope: Scope,
    log: LogKey,
    resumable: bool,
    heartbeat: Duration,
    events: Batches,
    last: Option<EventId>,
    over: bool,
    /// Whether the run was already over when the read began.
    late: bool,
    /// If the run is over and its row is gone: how long the reader has received nothing since.
    gone: Option<Duration>,
    /// Whether the reader has read the log again after `last`, and received nothing since.
    read_again: bool,
    /// Whether the reader lost its position in the log and has not reopened the log yet.
    lost: bool,
    /// Whether events were lost and the caller does not know it yet.
    gap: bool,
    /// Whether events of the current attempt may be missing, because they were lost or the log did not reach its end.
    incomplete: bool,
}

impl RunReader {
    pub(super) fn new(
        service: &RunService,
        tenant: &Tenant,
        log: LogKey,
        resumable: bool,
        heartbeat: Duration,
        events: EventStream,
    ) -> Self {
        Self {
            service: service.clone(),
            scope: Scope::tenant(tenant.clone()),
            log,
            resumable,
            heartbeat,
            events: Batches::new(&service.shared, log.thread_id, events),
            last: None,
            over: false,
            late: false,
            gone: None,
            read_again: false,
            lost: false,
            gap: false,
            incomplete: false,
        }
    }

    /// Sets whether the run's row was already terminal after the log was opened.
    #[must_use]
    pub fn over(mut self, over: bool) -> Self {
        (self.over, self.late) = (over, over);
        self
    }

    /// Sets the last event that the client has received.
    #[must_use]
    pub fn after(mut self, last: EventId) -> Self {
        self.last = Some(last);
        self
    }

    /// How much of the last attempt's events the reader received.
    pub fn completeness(&self) -> Completeness {
        match (self.incomplete, self.gone) {
            (false, _) => Completeness::Complete,
            (true, None) => Completeness::Partial,
            (true, Some(_)) => Completeness::Unknown,
        }
    }

    /// Whether the run was over when the read began.
    pub fn is_late(&self) -> bool {
        self.late
    }

    /// The run's log.
    pub fn log(&self) -> LogKey {
        self.log
    }

    /// The scope in which the reader reads the run's row: all rows of the tenant.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The longest time for which a client may receive nothing.
    pub fn heartbeat(&self) -> Duration {
        self.heartbeat
    }

    /// The next result; `None` at the end.
    pub async fn next(&mut self) -> Option<RunRead> {
        loop {
            if std::mem::take(&mut self.gap) {
                return Some(RunRead::Gap);
            }
            if self.lost {
                tokio::time::sleep(GRACE).await;
                self.reopen().await;
            }
            let patience = match (self.over, self.resumable) {
                (true, false) if self.gone.is_some() => self.heartbeat.min(GONE_GRACE),
                (false, _) => self.heartbeat,
                (true, false) => GRACE,
                (true, true) => KEPT_GRACE,
            };
            match timeout(patience, self.events.next()).await {
                Ok(None) if self.lost => {}
                Ok(None) => return None,
                Ok(Some(items)) => {
                    let events = self.take(items).await;
                    if !events.is_empty() {
                        return Some(RunRead::Events(events));
                    }
                }
                // The run has ended, but the reader received no end; perhaps this process was suspended. The log still
                // has the missed events.
                Err(_) if self.over && self.resumable && self.last.is_some() && !self.read_again => {
                    self.read_again = true;
                    self.reopen().await;
                }
                Err(_) if self.gone.is_some_and(|silent| silent < GONE_GRACE) => {
                    self.gone = self.gone.map(|silent| silent + patience);
                    return Some(RunRead::Idle);
                }
                Err(_) if self.over => {
                    self.incomplete = true;
                    return None;
                }
                Err(_) => {
                    self.look().await;
                    return Some(RunRead::Idle);
                }
            }
        }
    }

    async fn take(&mut self, items: Vec<Result<Event>>) -> Vec<Event> {
        let mut events = Vec::with_capacity(items.len());
        let mut lost = None;
        for item in items {
            match item {
                Ok(event) => {
                    self.last = Some(event.id);
                    self.read_again = false;
                    self.gone = self.gone.map(|_| Duration::ZERO);
                    // A new attempt begins, so losses of earlier attempts no longer matter.
                    self.incomplete &= &*event.name != "metadata";
                    if !event.name.starts_with(NATIVE) {
                        events.push(event);
                    }
                }
                Err(error) => lost = Some(error),
            }
        }
        if let Some(error) = lost {
            tracing::warn!(run.id = %self.log.run_id, error = %error, "a reader of a run's events lost its position");
            self.gap = !self.resumable;
            self.incomplete |= self.gap;
            self.reopen().await;
        }
        events
    }

    /// Reopens the log: after the last event if the run is resumable, otherwise for new events only.
    async fn reopen(&mut self) {
        let from = match self.last {
            Some(last) if self.resumable => ReadFrom::After(last),
            _ => ReadFrom::Now,
        };
        match self.service.events.read(self.log, from).await {
            Ok(events) => {
                self.events = Batches::new(&self.service.shared, self.log.thread_id, events);
                self.lost = false;
                self.look().await;
            }
            Err(error) => {
                tracing::error!(run.id = %self.log.run_id, error = %error, "a run's events cannot be read; the reader tries again");
                self.lost = true;
            }
        }
    }

    /// Reads the run's row, to see whether it is terminal or gone.
    async fn look(&mut self) {
        match self.service.storage.run(&self.scope, self.log.thread_id, self.log.run_id).await {
            Ok(Some(run)) => self.over = run.status.is_terminal(),
            Ok(None) => {
                self.over = true;
                self.gone.get_or_insert(Duration::ZERO);
            }
            Err(error) => {
                tracing::warn!(run.id = %self.log.run_id, error = %error, "a run's row cannot be read");
                self.over = false;
            }
        }
    }
}

impl fmt::Debug for RunReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunReader").field("log", &self.log).finish_non_exhaustive()
    }
}
