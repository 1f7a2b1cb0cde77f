//! The run service: the one way in which the platform creates, cancels, deletes and follows runs.
//!
//! [`Queue`] and [`Storage`] report the runs that a call has ended or removed. No worker will close the streams of
//! those runs, so the caller must. [`RunService`] does both in one call; handlers, crons and embedders use it instead
//! of the traits.
//!
//! Its readers resume in the event log, survive the loss of a signal or of the log, and end when the run is over or the
//! thread is gone.
//!
//! ```
//! use langopen_core::run_service::RunService;
//! use langopen_core::model::{CancelAction, CancelRequest};
//! use langopen_core::queue::InFlight;
//! use langopen_core::{Result, Scope, Tenant};
//!
//! /// Cancels every run of a tenant that waits for a worker, and returns how many there were.
//! async fn stop_waiting(runs: &RunService, tenant: Tenant) -> Result<usize> {
//!     let request = CancelRequest { action: CancelAction::Interrupt, reason: "maintenance".to_owned() };
//!     runs.cancel_in_flight(&Scope::tenant(tenant), InFlight::Pending, request).await
//! }
//! ```

mod batches;
mod run_reader;
mod thread_reader;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::backend::Backend;
use crate::event_log::{EventLog, EventStream, LogKey, NEVER_BEGUN, NewEvent, ReadFrom};
use crate::ids::{AssistantId, RunId, ThreadId};
use crate::model::{CancelRequest, NewRun, PruneStrategy, PrunedThreads, Run};
use crate::queue::{Cancelled, Enqueued, InFlight, Queue};
use crate::storage::Storage;
use crate::tenant::{Scope, Tenant};
use crate::{ErrorKind, Result};

use batches::SharedData;

pub use run_reader::{Completeness, RunRead, RunReader};
pub use thread_reader::{ThreadRead, ThreadReader, Visibility};

/// The attempt number before a run's first attempt.
const NO_ATTEMPT: u32 = 0;

/// Creates, cancels, deletes and follows runs, and closes the streams of the runs that end on the way. Clones share its
/// parts.
#[derive(Clone)]
pub struct RunService {
    storage: Arc<dyn Storage>,
    queue: Arc<dyn Queue>,
    events: Arc<dyn EventLog>,
    /// Event data that several readers share.
    shared: Arc<SharedData>,
}

impl RunService {
    /// A service over the runs of a backend.
    pub fn new(backend: &Backend) -> Self {
        let Backend { storage, queue, events, .. } = backend.clone();
        Self { storage, queue, events, shared: Arc::default() }
    }

    /// Creates a run and closes the streams of the pending runs that it supersedes. Returns the run as stored.
    ///
    /// # Errors
    /// Those of [`Queue::enqueue`].
    pub async fn submit(&self, scope: &Scope, new: NewRun) -> Result<Run> {
        let Enqueued { run, ended, .. } = self.queue.enqueue(scope, new).await?;
        let thread_id = run.thread_id;
        self.close(ended.into_iter().map(|run_id| LogKey { thread_id, run_id })).await;
        Ok(run)
    }

    /// Cancels a run: a pending one at once, a running one through its worker.
    ///
    /// # Errors
    /// Those of [`Queue::cancel`].
    pub async fn cancel(
        &self,
        scope: &Scope,
        thread_id: ThreadId,
        run_id: RunId,
        request: CancelRequest,
    ) -> Result<Cancelled> {
        let cancelled = self.queue.cancel(scope, thread_id, run_id, request).await?;
        if cancelled == Cancelled::Ended {
            self.close([LogKey { thread_id, run_id }]).await;
        }
        Ok(cancelled)
    }

    /// Cancels all runs in flight that the scope shows, and returns how many there were.
    ///
    /// # Errors
    /// Those of [`Queue::cancel_in_flight`].
    pub async fn cancel_in_flight(&self, scope: &Scope, which: InFlight, request: CancelRequest) -> Result<usize> {
        let cancelled = self.queue.cancel_in_flight(scope, which, request).await?;
        let count = cancelled.ended.len() + cancelled.requested.len();
        self.close(cancelled.ended).await;
        Ok(count)
    }

    /// Deletes a run, in flight or not. Its checkpoints stay.
    ///
    /// # Errors
    /// Those of [`Runs::delete_run`](crate::storage::Runs::delete_run).
    pub async fn delete(&self, scope: &Scope, thread_id: ThreadId, run_id: RunId) -> Result<()> {
        let in_flight = self.storage.delete_run(scope, thread_id, run_id).await?;
        self.close(in_flight.then_some(LogKey { thread_id, run_id })).await;
        Ok(())
    }

    /// Deletes an assistant, and with `threads` also the threads in that scope whose metadata names it.
    ///
    /// # Errors
    /// Those of [`Assistants::delete_assistant`](crate::storage::Assistants::delete_assistant).
    pub async fn delete_assistant(&self, scope: &Scope, id: AssistantId, threads: Option<&Scope>) -> Result<()> {
        let gone = self.storage.delete_assistant(scope, id, threads).await?;
        self.close(gone.ended).await;
        self.close_threads(&gone.threads).await;
        Ok(())
    }

    /// Deletes a thread with its runs.
    ///
    /// # Errors
    /// Those of [`Threads::delete_thread`](crate::storage::Threads::delete_thread).
    pub async fn delete_thread(&self, scope: &Scope, id: ThreadId) -> Result<()> {
        self.storage.delete_thread(scope, id).await?;
        self.close_threads(&[id]).await;
        Ok(())
    }

    /// Prunes threads: deletes them, or cuts their history.
    ///
    /// # Errors
    /// Those of [`Threads::prune_threads`](crate::storage::Threads::prune_threads).
    pub async fn prune_threads(
        &self,
        scope: &Scope,
        ids: &[ThreadId],
        strategy: PruneStrategy,
    ) -> Result<PrunedThreads> {
        let pruned = self.storage.prune_threads(scope, ids, strategy).await?;
        self.close_threads(&pruned.deleted).await;
        Ok(pruned)
    }

    /// Prunes at most `limit` threads of all tenants whose time to live is over.
    ///
    /// # Errors
    /// Those of [`Threads::sweep_threads`](crate::storage::Threads::sweep_threads).
    pub async fn sweep_threads(&self, limit: u32) -> Result<PrunedThreads> {
        let swept = self.storage.sweep_threads(limit).await?;
        self.close_threads(&swept.deleted).await;
        Ok(swept)
    }

    /// Follows a run of the tenant. `events` is its log, which the caller has opened before it created the run or read
    /// its row. A client may receive nothing for at most `heartbeat`.
    pub fn follow(
        &self,
        tenant: &Tenant,
        log: LogKey,
        resumable: bool,
        heartbeat: Duration,
        events: EventStream,
    ) -> RunReader {
        RunReader::new(self, tenant, log, resumable, heartbeat, events)
    }

    /// Reads the events of a thread for a caller with this scope. The thread need not exist yet. Also returns whether
    /// the caller sees the thread now.
    ///
    /// # Errors
    /// Those of [`EventLog::read_thread`] and of [`Threads::thread`](crate::storage::Threads::thread).
    pub async fn read_thread(
        &self,
        scope: Scope,
        thread_id: ThreadId,
        from: ReadFrom,
    ) -> Result<(ThreadReader, Visibility)> {
        ThreadReader::open(self, scope, thread_id, from).await
    }

    /// Whether a caller with this scope sees the thread.
    ///
    /// # Errors
    /// Those of [`Threads::thread`](crate::storage::Threads::thread).
    pub async fn visibility(&self, scope: &Scope, thread_id: ThreadId) -> Result<Visibility> {
        if self.storage.thread(scope, thread_id).await?.is_some() {
            return Ok(Visibility::Visible);
        }
        let everything = Scope::tenant(scope.tenant.clone());
        if scope.filter.is_some() && self.storage.thread(&everything, thread_id).await?.is_some() {
            return Ok(Visibility::Hidden);
        }
        Ok(Visibility::Missing)
    }

    /// Closes the streams of runs that no worker will end. The call that ended the runs is committed by now, so a
    /// failure is logged and not returned: readers of an open stream look at the run's row from time to time.
    async fn close(&self, runs: impl IntoIterator<Item = LogKey>) {
        for log in runs {
            // A run without events has no log entry, so its end event must create one for readers that come later.
            let mark = NewEvent { name: NEVER_BEGUN.into(), data: "null".into() };
            match self.events.append(log, NO_ATTEMPT, true, vec![mark]).await {
                Ok(()) => {}
                // An attempt has appended events, so the log has an entry.
                Err(error) if error.kind() == ErrorKind::LeaseLost => {}
                Err(error) => {
                    tracing::warn!(run.id = %log.run_id, error = %error, "cannot mark the end of a run that never started");
                }
            }
            if let Err(error) = self.events.end(log).await {
                tracing::warn!(run.id = %log.run_id, error = %error, "cannot close the stream of a run that has ended");
            }
        }
    }

    /// Closes the streams of deleted threads and of their runs. A failure is logged, as in [`Self::close`].
    async fn close_threads(&self, threads: &[ThreadId]) {
        if threads.is_empty() {
            return;
        }
        if let Err(error) = self.events.remove_threads(threads).await {
            tracing::warn!(error = %error, "cannot close the streams of deleted threads");
        }
    }
}

impl fmt::Debug for RunService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunService").finish_non_exhaustive()
    }
}
