//! Reading a log: first the kept records, page by page, then the live ones.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::StreamExt;
use langopen_core::error::Result;
use langopen_core::event_log::{Event, EventId, EventStream};
use langopen_core::ids::{RunId, ThreadId};

use super::store::{LogStore, Opened};
use crate::live_log::LiveEvents;

/// A reader of a thread, or of one of its runs.
pub(super) struct Replay<S> {
    pub(super) store: Arc<S>,
    pub(super) thread_id: ThreadId,
    pub(super) run_id: Option<RunId>,
    /// The position of the last kept record that was read.
    pub(super) after: EventId,
    /// The position of the reader's last event.
    pub(super) seen: EventId,
    /// Where the replay ends and the live records begin.
    pub(super) opened: Opened,
    pub(super) page: VecDeque<Event>,
    pub(super) replaying: bool,
    pub(super) live: Option<LiveEvents>,
}

impl<S: LogStore> Replay<S> {
    pub(super) fn stream(self) -> EventStream {
        futures::stream::unfold(self, Self::next).boxed()
    }

    async fn next(mut self) -> Option<(Result<Event>, Self)> {
        loop {
            if let Some(event) = self.page.pop_front() {
                self.seen = event.id;
                return Some((Ok(event), self));
            }
            if self.replaying {
                if let Err(error) = self.turn_page().await {
                    (self.replaying, self.live) = (false, None);
                    return Some((Err(error), self));
                }
                continue;
            }
            match self.live.as_mut()?.next().await? {
                // The reader joined the live readers before it knew where it begins.
                Ok(event) if event.id <= self.opened.last.max(self.seen) => {}
                item => return Some((item, self)),
            }
        }
    }

    /// Reads the next page of kept records.
    pub(super) async fn turn_page(&mut self) -> Result<()> {
        let page = self.store.kept(self.thread_id, self.run_id, self.after, &self.opened).await?;
        self.replaying = page.more;
        for record in page.records {
            self.after = record.last;
            // The reader may continue in the middle of a record.
            self.page.extend(record.events()?.into_iter().filter(|event| event.id > self.seen));
        }
        Ok(())
    }
}
