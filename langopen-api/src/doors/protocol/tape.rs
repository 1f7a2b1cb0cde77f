//! Reads a thread's events for one client of the protocol.

use std::time::Duration;

use langopen_core::event_log::{EventId, ReadFrom};
use langopen_core::run_service::{ThreadRead, ThreadReader, Visibility};
use langopen_core::{Scope, ThreadId};

use super::event::ProtocolEvent;
use super::filter::Methods;
use super::out::Out;
use super::rows::Rows;
use super::translate::Translator;
use super::tree::Tree;
use crate::agent::App;
use crate::agent::error::ApiResult;
use crate::agent::thread::not_found;

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
    reader: ThreadReader,
    rows: Rows,
    translator: Translator,
}

impl Tape {
    /// Opens a reader for a caller that may read threads in `scope`. The thread need not exist yet.
    ///
    /// # Errors
    /// 404 if the thread is hidden from the caller.
    pub(super) async fn open(app: &App, scope: Scope, thread_id: ThreadId) -> ApiResult<Self> {
        let rows = Rows::new(app, &scope.tenant, thread_id);
        let (reader, visibility) = app.runs.read_thread(scope, thread_id, ReadFrom::After(EventId::ZERO)).await?;
        if visibility == Visibility::Hidden {
            return Err(not_found(thread_id));
        }
        Ok(Self { reader, rows, translator: Translator::default() })
    }

    /// Waits for the next read; `None` at the end. It is cancel-safe.
    pub(super) async fn wait(&mut self) -> Option<ThreadRead> {
        self.reader.next().await
    }

    /// The next read, if it is ready now.
    pub(super) fn ready(&mut self) -> Option<ThreadRead> {
        futures::FutureExt::now_or_never(self.reader.next()).flatten()
    }

    /// Translates what was read.
    pub(super) async fn take(&mut self, read: ThreadRead, wanted: Methods) -> Play {
        let events = match read {
            ThreadRead::Events(events) => events,
            ThreadRead::Hidden => return Play::Gone,
            ThreadRead::Lost => return Play::Lost,
        };
        let mut out = Out::default();
        for event in events {
            self.translator.translate(event, &self.rows, wanted, &mut out).await;
        }
        Play::Events(out.events)
    }

    /// The events to send after a silence of `patience`.
    pub(super) async fn quiet(&mut self) -> Play {
        if self.reader.is_gone().await {
            return Play::Gone;
        }
        let mut out = Out::default();
        self.translator.settle(&self.rows, &mut out).await;
        Play::Events(out.events)
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
