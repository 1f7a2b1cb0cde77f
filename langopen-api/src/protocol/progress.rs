//! The number of a thread's last event, for commands over HTTP.
//!
//! A client treats `applied_through_seq` of an answer as the end of the past. `@langchain/react` ignores interrupts up
//! to that number, and the Python SDK opens its next stream after it. So the server reads the number before it executes
//! the command: the events of a run that the command starts all come later.

use std::time::Duration;

use langopen_core::model::RunQuery;
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
            tracing::warn!(thread.id = %self.thread_id, error = %error, "the end of a thread's events was not found");
            0
        })
    }

    async fn read_progress(&self) -> Result<u64> {
        let scope = Scope::tenant(self.caller.identity.tenant.clone());
        if self.app.storage.thread(&scope, self.thread_id).await?.is_none() {
            return Ok(0);
        }
        let query = RunQuery { limit: 1, ..RunQuery::default() };
        let runs = self.app.storage.list_runs(&scope, self.thread_id, &query).await?;
        // The log keeps the end of a resumable run. After the end of the newest run nothing more is kept.
        let Some(newest) = runs.items.first() else { return Ok(0) };
        let last_word = (newest.resumable && newest.status.is_terminal()).then_some(newest.run_id);
        let Ok(mut tape) = Tape::open(&self.app, scope, self.thread_id).await else { return Ok(0) };
        loop {
            let Ok(Some(items)) = timeout(SILENCE, tape.wait()).await else { break };
            let over = last_word.is_some_and(|run_id| items.iter().flatten().any(|event| ended(event) == Some(run_id)));
            match tape.take(items, Methods::ALL).await {
                Play::Events(_) if !over => {}
                _ => break,
            }
        }
        Ok(tape.last())
    }
}
