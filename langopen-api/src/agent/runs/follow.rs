//! Reads a run's events until the run is over, even if signals, events or the log are lost.
//!
//! Normally, the end of the log ends the read. But a signal, a worker or a whole log may be lost. So after each
//! heartbeat without events, the reader reads the run's row. Once the row says that the run is over, further silence
//! ends the read.

use std::time::Duration;

use futures::StreamExt;
use langopen_core::event_log::{Event, EventId, EventStream, LogKey, NATIVE, ReadFrom};
use langopen_core::model::Run;
use langopen_core::{RunId, Scope, Tenant, ThreadId};
use tokio::time::timeout;

use super::outcome::{Kept, kept};
use crate::agent::App;
use crate::http::batches::Batches;

/// How long the reader waits for the last events after the row says that the run is over.
const GRACE: Duration = Duration::from_millis(300);

/// The same for a resumable run: its log has an end record, and a slow database may delay a page of it.
const KEPT_GRACE: Duration = Duration::from_secs(2);

/// The same for a run whose row is gone: only the log has its outcome, and this process may have lost the log for a
/// while.
const GONE_GRACE: Duration = Duration::from_secs(10);

/// The result of one read.
pub(crate) enum News {
    /// Events, in order.
    Events(Vec<Event>),
    /// A whole heartbeat passed without events.
    Quiet,
    /// The reader lost events for ever: it was too slow, and the run is not resumable. Later events follow.
    Gap,
}

/// How much of the run's events a reader received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// All events, up to the end.
    All,
    /// The run is over, but some of its events were lost.
    Part,
    /// The same, and the run's row is gone, so the outcome is unknown.
    PartOfGone,
}

/// A reader of one run.
pub(crate) struct Follow {
    app: App,
    scope: Scope,
    thread_id: ThreadId,
    run_id: RunId,
    resumable: bool,
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

impl Follow {
    /// A reader of the run's `events`. The caller must already be authorized.
    pub(crate) fn new(
        app: &App,
        tenant: &Tenant,
        (thread_id, run_id): (ThreadId, RunId),
        resumable: bool,
        events: EventStream,
    ) -> Self {
        Self {
            app: app.clone(),
            scope: Scope::tenant(tenant.clone()),
            thread_id,
            run_id,
            resumable,
            events: Batches::new(&app.shared, thread_id, events),
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

    /// Sets whether the run's row was already terminal after `events` was opened.
    pub(crate) fn over(mut self, over: bool) -> Self {
        (self.over, self.late) = (over, over);
        self
    }

    /// Sets the last event that the client has received.
    pub(crate) fn after(mut self, last: EventId) -> Self {
        self.last = Some(last);
        self
    }

    /// How much of the last attempt's events the reader received.
    pub(crate) fn heard(&self) -> Heard {
        match (self.incomplete, self.gone) {
            (false, _) => Heard::All,
            (true, None) => Heard::Part,
            (true, Some(_)) => Heard::PartOfGone,
        }
    }

    /// Whether the run was over when the read began.
    pub(super) fn is_late(&self) -> bool {
        self.late
    }

    /// Reads the run's outcome from its rows.
    pub(super) fn kept(&self) -> impl Future<Output = langopen_core::Result<(Option<Run>, Kept)>> + Send + use<> {
        let (app, scope, thread_id, run_id) = (self.app.clone(), self.scope.clone(), self.thread_id, self.run_id);
        async move { kept(&app, &scope, thread_id, run_id).await }
    }

    /// The longest time for which the client may receive nothing.
    pub(crate) fn patience(&self) -> Duration {
        self.app.settings.heartbeat
    }

    /// The next result; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<News> {
        loop {
            if std::mem::take(&mut self.gap) {
                return Some(News::Gap);
            }
            if self.lost {
                tokio::time::sleep(GRACE).await;
                self.reopen().await;
            }
            let heartbeat = self.app.settings.heartbeat;
            let patience = match (self.over, self.resumable) {
                (true, false) if self.gone.is_some() => heartbeat.min(GONE_GRACE),
                (false, _) => heartbeat,
                (true, false) => GRACE,
                (true, true) => KEPT_GRACE,
            };
            match timeout(patience, self.events.next()).await {
                Ok(None) if self.lost => {}
                Ok(None) => return None,
                Ok(Some(items)) => {
                    let events = self.take(items).await;
                    if !events.is_empty() {
                        return Some(News::Events(events));
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
                    return Some(News::Quiet);
                }
                Err(_) if self.over => {
                    self.incomplete = true;
                    return None;
                }
                Err(_) => {
                    self.look().await;
                    return Some(News::Quiet);
                }
            }
        }
    }

    async fn take(&mut self, items: Vec<langopen_core::Result<Event>>) -> Vec<Event> {
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
            tracing::warn!(run.id = %self.run_id, error = %error, "a reader of a run's events lost its position");
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
        match self.app.events.read(LogKey { thread_id: self.thread_id, run_id: self.run_id }, from).await {
            Ok(events) => {
                self.events = Batches::new(&self.app.shared, self.thread_id, events);
                self.lost = false;
                self.look().await;
            }
            Err(error) => {
                tracing::error!(run.id = %self.run_id, error = %error, "a run's events cannot be read; the reader tries again");
                self.lost = true;
            }
        }
    }

    /// Reads the run's row, to see whether it is terminal or gone.
    async fn look(&mut self) {
        match self.app.storage.run(&self.scope, self.thread_id, self.run_id).await {
            Ok(Some(run)) => self.over = run.status.is_terminal(),
            Ok(None) => {
                self.over = true;
                self.gone.get_or_insert(Duration::ZERO);
            }
            Err(error) => {
                tracing::warn!(run.id = %self.run_id, error = %error, "a run's row cannot be read");
                self.over = false;
            }
        }
    }
}
