//! Reading a log: first what is kept, page by page, then what comes.

use std::collections::VecDeque;

use futures::StreamExt;
use langopen_core::error::Result;
use langopen_core::event_log::{Event, EventId, EventStream};
use langopen_core::ids::{RunId, ThreadId};

use super::Sqlite;
use crate::live_log::LiveEvents;

/// A reader that replays what is kept, and then goes on with what comes.
pub(super) struct Reading {
    db: Sqlite,
    thread_id: ThreadId,
    /// Only what this run said.
    run_id: Option<RunId>,
    seen: EventId,
    /// Where the replay ends.
    until: EventId,
    page: VecDeque<Event>,
    replaying: bool,
    live: Option<LiveEvents>,
}

impl Reading {
    /// What is kept after `seen` and not after `until`, then what comes.
    pub(super) fn replay(
        db: &Sqlite,
        thread_id: ThreadId,
        run_id: Option<RunId>,
        seen: EventId,
        until: EventId,
        live: Option<LiveEvents>,
    ) -> EventStream {
        let (db, page) = (db.clone(), VecDeque::new());
        let reading = Self { db, thread_id, run_id, seen, until, page, replaying: true, live };
        futures::stream::unfold(reading, Self::next).boxed()
    }

    async fn next(mut self) -> Option<(Result<Event>, Self)> {
        loop {
            if let Some(event) = self.page.pop_front() {
                self.seen = event.id;
                return Some((Ok(event), self));
            }
            if self.replaying {
                match self.db.kept_events(self.thread_id, self.run_id, self.seen, self.until).await {
                    Ok((page, more)) => (self.replaying, self.page) = (more, page),
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
