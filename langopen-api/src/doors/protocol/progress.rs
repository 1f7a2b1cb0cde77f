//! The number of a thread's last event, for commands over HTTP.
//!
//! A client treats `applied_through_seq` of an answer as the end of the past. `@langchain/react` ignores interrupts up
//! to that number, and the Python SDK opens its next stream after it. So the server reads the number before it executes
//! the command: the events of a run that the command starts all come later.

use std::time::Duration;

use langopen_core::model::{RunQuery, ThreadStatus};
use langopen_core::run_service::ThreadRead;
use langopen_core::{Result, Scope};
use tokio::time::timeout;

use super::command::Commander;
use super::filter::Methods;
use super::tape::{Play, Tape};
use super::translate::ended;

/// How long the reader waits for more. The log delivers its kept events at once, but does not mark the last one.
const SILENCE: Duration = Duration::from_millis(50);

impl Commander {
    /// The number of the thread's last event; 0 if the log keeps none. The command itself checks whether the caller may
    /// see the thread.
    pub(super) async fn progress(&self) -> u64 {
        self.read_progress().await.unwrap_or_else(|error| {
            tracing::warn!(thread.id = %self.thread_id, error = %error, "cannot read the number of a thread's last event; the answer carries 0");
            0
        })
    }

    async fn read_progress(&self) -> Result<u64> {
        let scope = Scope::tenant(self.caller.identity.tenant.clone());
        let Some(thread) = self.app.storage.thread(&scope, self.thread_id).await? else { return Ok(0) };
        let query = RunQuery::default().with_limit(1);
        let runs = self.app.storage.list_runs(&scope, self.thread_id, &query).await?;
        let Some(newest) = runs.items.first() else { return Ok(0) };
        // The log keeps the ends of resumable runs. On an idle thread, the reader waits for nothing after that of the
        // newest.
        let end = (newest.resumable && thread.status != ThreadStatus::Busy).then_some(newest.run_id);
        let Ok(mut tape) = Tape::open(&self.app, scope, self.thread_id).await else { return Ok(0) };
        let mut over = false;
        loop {
            let read = match over {
                true => tape.ready(),
                false => timeout(SILENCE, tape.wait()).await.ok().flatten(),
            };
            let Some(read) = read else { return Ok(tape.last()) };
            if let ThreadRead::Events(events) = &read {
                over |= end.is_some() && events.iter().any(|event| ended(event) == end);
            }
            if !matches!(tape.take(read, Methods::ALL).await, Play::Events(_)) {
                return Ok(tape.last());
            }
        }
    }
}
