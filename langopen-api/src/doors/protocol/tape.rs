//! Reads a thread's events for one client of the protocol.

use std::time::Duration;

use futures::StreamExt;
use langopen_core::event_log::{Event, EventId, ReadFrom};
use langopen_core::{Result, Scope, ThreadId};

use super::event::ProtocolEvent;
use super::filter::Methods;
use super::out::Out;
use super::rows::Rows;
use super::translate::Translator;
use super::tree::Tree;
use crate::agent::App;
use crate::agent::error::ApiResult;
use crate::agent::thread::not_found;
use crate::agent::threads::{Sight, Watch};
use crate::http::batches::Batches;

/// The result of a read.
pub(super) enum Play {
    /// These events; there may be none.
    Events(Vec<ProtocolEvent>),
    /// The thread is hidden from the caller or deleted.
    Gone,
    /// The reader lost its position, most likely because it read too slowly.
    Lost,
}

/// One reader of a thread: first the kept events from the beginning, then new ones.
pub(super) struct Tape {
    watch: Watch,
    rows: Rows,
    events: Batches,
    translator: Translator,
}

/// Items of the log that are not translated yet.
pub(super) type Items = Vec<Result<Event>>;

impl Tape {
    /// Opens a reader for a caller that may read threads in `scope`. The thread need not exist yet.
    ///
    /// # Errors
    /// 404 if the thread is hidden from the caller.
    pub(super) async fn open(app: &App, scope: Scope, thread_id: ThreadId) -> ApiResult<Self> {
        // Subscribe before reading the row, so that no event between the two is missed.
        let events = app.events.read_thread(thread_id, ReadFrom::After(EventId::ZERO)).await?;
        let rows = Rows::new(app, &scope.tenant, thread_id);
        let mut watch = Watch::new(app, scope, thread_id);
        if watch.look().await? == Sight::Hidden {
            return Err(not_found(thread_id));
        }
        let events = Batches::new(&app.shared, thread_id, events);
        Ok(Self { watch, rows, events, translator: Translator::default() })
    }

    /// Waits for the next items; `None` at the end. It is cancel-safe.
    pub(super) async fn wait(&mut self) -> Option<Items> {
        self.events.next().await
    }

    /// Takes the items that are ready now.
    pub(super) fn ready(&mut self) -> Option<Items> {
        futures::FutureExt::now_or_never(self.events.next()).flatten()
    }

    /// Translates `items` to events.
    pub(super) async fn take(&mut self, items: Items, wanted: Methods) -> Play {
        if !self.watch.admitted() {
            match self.watch.look().await {
                Ok(Sight::Visible) => {}
                Ok(Sight::Hidden) => return Play::Gone,
                // The log may belong to another tenant's thread, or to a deleted one.
                Ok(Sight::Missing) => return Play::Events(Vec::new()),
                Err(error) => return self.lost(&error),
            }
        }
        let mut out = Out::default();
        for item in items {
            match item {
                Ok(event) => self.translator.translate(event, &self.rows, wanted, &mut out).await,
                Err(error) => return self.lost(&error),
            }
        }
        Play::Events(out.events)
    }

    /// The events to send after a silence of `patience`.
    pub(super) async fn quiet(&mut self) -> Play {
        if self.watch.is_gone().await {
            return Play::Gone;
        }
        let mut out = Out::default();
        self.translator.settle(&self.rows, &mut out).await;
        Play::Events(out.events)
    }

    fn lost(&self, error: &langopen_core::Error) -> Play {
        tracing::warn!(thread.id = %self.rows.thread_id, error = %error, "cannot read on in a thread's events; the reader's stream ends");
        Play::Lost
    }

    /// The longest silence of a stream.
    pub(super) fn patience(&self) -> Duration {
        self.rows.app.settings.heartbeat
    }

    /// The number of the last event.
    pub(super) fn last(&self) -> u64 {
        self.translator.last
    }

    pub(super) fn tree(&self) -> &Tree {
        &self.translator.tree
    }
}
