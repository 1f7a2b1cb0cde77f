//! A thread as a client of the protocol hears it.

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
use crate::agent::threads::{Sight, Watch, not_found};
use crate::http::batches::Batches;
use crate::http::error::ApiResult;
use crate::server::App;

/// What is there to tell.
pub(super) enum Play {
    /// These events, perhaps none.
    Events(Vec<ProtocolEvent>),
    /// The thread is hidden from the caller, or no more.
    Gone,
    /// The reader lost its place, most likely because it read too slowly.
    Lost,
}

/// One reader of a thread: what is kept from the beginning, then what comes.
pub(super) struct Tape {
    watch: Watch,
    rows: Rows,
    events: Batches,
    translator: Translator,
}

/// What was read and is not told yet.
pub(super) type Items = Vec<Result<Event>>;

impl Tape {
    /// Reads a thread for a caller who was permitted to read threads in `scope`. The thread need not exist yet.
    ///
    /// # Errors
    /// 404 if the thread is hidden from the caller.
    pub(super) async fn open(app: &App, scope: Scope, thread_id: ThreadId) -> ApiResult<Self> {
        // Read first and look at the row then: what is said in between is not missed.
        let events = app.events.read_thread(thread_id, ReadFrom::After(EventId::ZERO)).await?;
        let rows = Rows::new(app, &scope.tenant, thread_id);
        let mut watch = Watch::new(app, scope, thread_id);
        if watch.look().await? == Sight::Hidden {
            return Err(not_found(thread_id));
        }
        let events = Batches::new(app, thread_id, events);
        Ok(Self { watch, rows, events, translator: Translator::default() })
    }

    /// Waits for what comes next, at most so long; `None` at the end. Nothing is lost when the future is dropped.
    pub(super) async fn wait(&mut self) -> Option<Items> {
        self.events.next().await
    }

    /// Takes what is there already.
    pub(super) fn ready(&mut self) -> Option<Items> {
        futures::FutureExt::now_or_never(self.events.next()).flatten()
    }

    /// What is to be told of `items`.
    pub(super) async fn take(&mut self, items: Items, wanted: Methods) -> Play {
        if !self.watch.admitted() {
            match self.watch.look().await {
                Ok(Sight::Visible) => {}
                Ok(Sight::Hidden) => return Play::Gone,
                // Somebody else's thread, or what is left of one that is gone.
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

    /// What is to be told when it was quiet for as long as `patience`.
    pub(super) async fn quiet(&mut self) -> Play {
        if self.watch.is_gone().await {
            return Play::Gone;
        }
        let mut out = Out::default();
        self.translator.settle(&self.rows, &mut out).await;
        Play::Events(out.events)
    }

    fn lost(&self, error: &langopen_core::Error) -> Play {
        tracing::warn!(thread.id = %self.rows.thread_id, error = %error, "a reader of a thread's events lost its place");
        Play::Lost
    }

    /// How long a client hears nothing at most.
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
