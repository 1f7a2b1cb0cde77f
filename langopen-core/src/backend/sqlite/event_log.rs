use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;

use super::Sqlite;
use super::event_rows::PAGE;
use crate::backend::memory::{Hub, LiveEvents, RETENTION, place};
use crate::error::{Error, Result};
use crate::event_log::{Event, EventId, EventLog, EventStream, NewEvent, ReadFrom};
use crate::ids::RunId;

/// [`EventLog`] in an SQLite file. Clones share everything.
///
/// What a resumable run says is committed before any reader sees it; what other runs say goes to who reads just then, and never touches the file.
#[derive(Clone)]
pub struct SqliteEventLog {
    db: Sqlite,
    hub: Arc<Hub>,
    /// The resumable logs that are being written: each is written by one call at a time, so that its order is that of its ids.
    ends: Arc<Mutex<HashMap<RunId, Arc<AsyncMutex<End>>>>>,
    retention: Duration,
}

/// Where a log ends for now.
#[derive(Debug, Clone, Copy)]
enum End {
    /// To be looked up in the file.
    Unknown,
    /// After this event.
    At(EventId),
    /// For good.
    Closed,
}

impl SqliteEventLog {
    pub(super) fn new(db: Sqlite) -> Self {
        Self { db, hub: Arc::new(Hub::new(false)), ends: Arc::default(), retention: RETENTION }
    }

    /// Keeps an ended log this long.
    #[must_use]
    pub fn with_retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    fn end_of(&self, run_id: RunId) -> Arc<AsyncMutex<End>> {
        self.ends.lock().entry(run_id).or_insert_with(|| Arc::new(AsyncMutex::new(End::Unknown))).clone()
    }

    async fn keep(&self, run_id: RunId, events: Vec<NewEvent>) -> Result<()> {
        let end = self.end_of(run_id);
        let mut end = end.lock().await;
        if let End::Unknown = *end {
            *end = match self.db.log_row(run_id).await? {
                Some(row) if row.ended => End::Closed,
                Some(row) => End::At(row.last),
                None => End::At(EventId::ZERO),
            };
        }
        let End::At(last) = *end else { return Ok(()) };
        let events: Vec<_> = place(last, events, self.db.now()).collect();
        let events = self.db.keep_events(run_id, events).await?;
        *end = End::At(events.last().map_or(last, |event| event.id));
        self.hub.publish(run_id, true, events);
        Ok(())
    }

    async fn close(&self, run_id: RunId) -> Result<()> {
        let end = self.end_of(run_id);
        let mut end = end.lock().await;
        let marked = self.db.end_log(run_id).await;
        // Readers must not wait for an end that could not be noted.
        self.hub.end(run_id, self.db.now());
        *end = End::Closed;
        self.ends.lock().remove(&run_id);
        marked
    }
}

/// Runs to its end even if the caller goes away, so that what is in the file and what readers saw stay the same.
async fn whole<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let failed = |error| Error::internal("event_log.write", "the write broke off").with_source(error);
    tokio::spawn(work).await.unwrap_or_else(|error| Err(failed(error)))
}

/// A reader that replays what is kept, page by page, and then goes on with what comes.
struct Reading {
    db: Sqlite,
    run_id: RunId,
    seen: EventId,
    page: VecDeque<Event>,
    replaying: bool,
    live: Option<LiveEvents>,
}

impl Reading {
    async fn next(mut self) -> Option<(Result<Event>, Self)> {
        loop {
            if let Some(event) = self.page.pop_front() {
                self.seen = event.id;
                return Some((Ok(event), self));
            }
            if self.replaying {
                match self.db.kept_events(self.run_id, self.seen).await {
                    Ok(page) => (self.replaying, self.page) = (page.len() == PAGE, page),
                    Err(error) => {
                        (self.replaying, self.live) = (false, None);
                        return Some((Err(error), self));
                    }
                }
                continue;
            }
            match self.live.as_mut()?.next().await? {
                // It was committed before the last page was read, and told to readers afterwards.
                Ok(event) if event.id <= self.seen => {}
                item => return Some((item, self)),
            }
        }
    }
}

#[async_trait]
impl EventLog for SqliteEventLog {
    async fn append(&self, run_id: RunId, resumable: bool, events: Vec<NewEvent>) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        if !resumable {
            self.hub.append(run_id, false, events, self.db.now());
            return Ok(());
        }
        let log = self.clone();
        whole(async move { log.keep(run_id, events).await }).await
    }

    async fn end(&self, run_id: RunId) -> Result<()> {
        if self.hub.resumable(run_id) == Some(false) {
            self.hub.end(run_id, self.db.now());
            return Ok(());
        }
        let log = self.clone();
        whole(async move { log.close(run_id).await }).await
    }

    async fn read(&self, run_id: RunId, from: ReadFrom) -> Result<EventStream> {
        // First the place among the live readers, then what is kept: what comes between the two comes twice, and is told apart by its id.
        let (_, live) = self.hub.subscribe(run_id, ReadFrom::Now);
        if self.hub.resumable(run_id) == Some(false) {
            return Ok(live.boxed());
        }
        let row = self.db.log_row(run_id).await?;
        let ended = row.is_some_and(|row| row.ended);
        let (seen, replaying) = match from {
            ReadFrom::Now => (EventId::ZERO, false),
            ReadFrom::After(seen) => (seen, true),
        };
        let (page, live) = (VecDeque::new(), (!ended).then_some(live));
        let reading = Reading { db: self.db.clone(), run_id, seen, page, replaying, live };
        Ok(futures::stream::unfold(reading, Reading::next).boxed())
    }

    async fn begin(&self, run_id: RunId) -> Result<EventStream> {
        Ok(self.hub.subscribe(run_id, ReadFrom::Now).1.boxed())
    }

    async fn sweep(&self) -> Result<u64> {
        self.hub.sweep(self.db.now(), self.retention);
        // What nobody is writing just now can be looked up again.
        self.ends.lock().retain(|_, end| Arc::strong_count(end) > 1);
        let mut orphaned = self.db.orphaned_logs(self.retention).await?;
        orphaned.retain(|run_id| self.hub.resumable(*run_id).is_none());
        self.db.sweep_logs(orphaned, self.retention).await
    }
}

impl fmt::Debug for SqliteEventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteEventLog").field("retention", &self.retention).finish_non_exhaustive()
    }
}
