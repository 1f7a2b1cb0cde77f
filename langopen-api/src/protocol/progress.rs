//! How far the events of a thread have come, for commands that come without a connection.
//!
//! A client takes `applied_through_seq` of an answer for the end of the past: interrupts up to there were asked before its command, and the Python
//! SDK goes on reading from there. So the number is taken before the command is done, and no event of the run that it starts is among those before.

use std::time::Duration;

use langopen_core::model::RunQuery;
use langopen_core::{Result, Scope};
use tokio::time::timeout;

use super::command::Commander;
use super::filter::Methods;
use super::tape::{Play, Tape};
use super::translate::ended;

/// How long the log is read on after it has fallen silent. What is kept comes at once; the log does not say when that was all.
const SILENCE: Duration = Duration::from_millis(50);

impl Commander {
    /// The number of the thread's last event; 0 if nothing is kept. Whoever may not see the thread is refused by the command itself.
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
        // Only the end of a resumable run is kept, and tells that nothing comes after it.
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
