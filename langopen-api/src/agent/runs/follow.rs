//! Reading a run's events until the run is over, whatever gets lost on the way.
//!
//! The log's end is the usual sign. But a wake-up, a worker or a whole log may be gone: so whenever it has been quiet for a while, the run's row is
//! looked at, and once that says that the run is over, silence means the end.

use std::time::Duration;

use futures::StreamExt;
use langopen_core::event_log::{Event, EventId, EventStream, LogKey, NATIVE, ReadFrom};
use langopen_core::model::Run;
use langopen_core::{RunId, Scope, Tenant, ThreadId};
use tokio::time::timeout;

use super::outcome::{Kept, kept};
use crate::http::batches::Batches;
use crate::server::App;

/// How long to listen after the row says that the run is over: its last events may still be on their way.
const GRACE: Duration = Duration::from_millis(300);

/// The same for a run whose events are kept: its log has an end of its own, and a page of it may take its time on a busy database.
const KEPT_GRACE: Duration = Duration::from_secs(2);

/// The same for a run that is gone: what it came to is in its log alone, which this process may have lost for a while.
const GONE_GRACE: Duration = Duration::from_secs(10);

/// Something to tell the client.
pub(crate) enum News {
    /// Events, in order.
    Events(Vec<Event>),
    /// Nothing, for a whole heartbeat.
    Quiet,
    /// Events were missed and cannot be had again: the reader was too slow, and the run keeps none. Later ones follow.
    Gap,
}

/// How much a reader heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// All, up to the end.
    All,
    /// The end came without all that was said before it.
    Part,
    /// The same, and nothing else tells what the run came to.
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
    /// Whether it was over already when reading began.
    late: bool,
    /// Whether it is over and its row is gone, and for how long nothing was heard since.
    gone: Option<Duration>,
    /// Whether what is kept after `last` was read again since, because nothing more came.
    read_again: bool,
    /// Whether the place among the readers is lost, and could not be found again yet.
    lost: bool,
    /// Whether events were missed, which the reader has not been told yet.
    gap: bool,
    /// Whether the events since an attempt began may lack some: they were missed, or the log did not come to an end of its own.
    incomplete: bool,
}

impl Follow {
    /// Follows a run whose events are read by `events`. The caller was authorized already.
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
            events: Batches::new(app, thread_id, events),
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

    /// Says that the run's row was seen to be over after `events` began.
    pub(crate) fn over(mut self, over: bool) -> Self {
        (self.over, self.late) = (over, over);
        self
    }

    /// Says which event the reader has seen last.
    pub(crate) fn after(mut self, last: EventId) -> Self {
        self.last = Some(last);
        self
    }

    /// How much was heard of what the last attempt said.
    pub(crate) fn heard(&self) -> Heard {
        match (self.incomplete, self.gone) {
            (false, _) => Heard::All,
            (true, None) => Heard::Part,
            (true, Some(_)) => Heard::PartOfGone,
        }
    }

    /// Whether the run was over when reading began.
    pub(super) fn is_late(&self) -> bool {
        self.late
    }

    /// The rows that tell what the run came to.
    pub(super) fn kept(&self) -> impl Future<Output = langopen_core::Result<(Option<Run>, Kept)>> + Send + use<> {
        let (app, scope, thread_id, run_id) = (self.app.clone(), self.scope.clone(), self.thread_id, self.run_id);
        async move { kept(&app, &scope, thread_id, run_id).await }
    }

    /// How long a client hears nothing at most.
    pub(crate) fn patience(&self) -> Duration {
        self.app.settings.heartbeat
    }

    /// What comes next; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<News> {
        loop {
            if std::mem::take(&mut self.gap) {
                return Some(News::Gap);
            }
            if self.lost {
                tokio::time::sleep(GRACE).await;
                self.find_place().await;
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
                // It has an end, which was not heard of: maybe this process was held up for too long. What it missed is kept.
                Err(_) if self.over && self.resumable && self.last.is_some() && !self.read_again => {
                    self.read_again = true;
                    self.find_place().await;
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
                    // A new attempt begins: what was said before does not count.
                    self.incomplete &= &*event.name != "metadata";
                    if !event.name.starts_with(NATIVE) {
                        events.push(event);
                    }
                }
                Err(error) => lost = Some(error),
            }
        }
        if let Some(error) = lost {
            tracing::warn!(run.id = %self.run_id, error = %error, "a reader of a run's events lost its place");
            self.gap = !self.resumable;
            self.incomplete |= self.gap;
            self.find_place().await;
        }
        events
    }

    /// Goes on reading: where we were if the log keeps its events, else with what comes.
    async fn find_place(&mut self) {
        let from = match self.last {
            Some(last) if self.resumable => ReadFrom::After(last),
            _ => ReadFrom::Now,
        };
        match self.app.events.read(LogKey { thread_id: self.thread_id, run_id: self.run_id }, from).await {
            Ok(events) => {
                self.events = Batches::new(&self.app, self.thread_id, events);
                self.lost = false;
                self.look().await;
            }
            Err(error) => {
                tracing::error!(run.id = %self.run_id, error = %error, "a run's events cannot be read; trying again");
                self.lost = true;
            }
        }
    }

    /// Looks whether the run's row is terminal or gone.
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
