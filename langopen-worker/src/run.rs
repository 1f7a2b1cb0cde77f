//! The task of one claimed run, and the execution of its graph.

use std::sync::Arc;

use futures::StreamExt;
use langopen_core::event_log::{LogKey, NewEvent};
use langopen_core::executor::{AttemptLost, Blame, ExecutionContext, RunJob, RunOutput, RunResult};
use langopen_core::model::RunError;
use langopen_core::queue::{Claim, Lease, Losses};
use langopen_core::{Error, ErrorKind, Result, RunStatus, Scope, telemetry};
use metrics::{Counter, counter, histogram};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{Instrument, Span, debug, error_span, warn};

use crate::active::{Active, Handle};
use crate::conclude::Conclusion;
use crate::held::Held;
use crate::losses::{Verdict, counted, judge};
use crate::metrics::{ATTEMPTS, EVENTS, QUEUE_WAIT};
use crate::{Services, WorkerSettings, outcome};

/// The most events that the worker appends in one call, when events arrive faster than calls return.
const BATCH: usize = 256;

/// Executes a claimed run in a task of its own.
pub(crate) fn spawn(
    services: &Services,
    settings: &Arc<WorkerSettings>,
    active: &Arc<Active>,
    claim: Claim,
    held_until: Instant,
    slot: OwnedSemaphorePermit,
) {
    let lease = claim.lease();
    let (cancel, cancelled) = watch::channel(claim.cancel.clone());
    let held = Held::until(held_until);
    let span = span(&claim);
    let handle = Handle {
        lease,
        held: held.clone(),
        cancel: Arc::new(cancel),
        lost: CancellationToken::new(),
        span: span.clone(),
    };
    active.insert(handle.clone());
    let graph_id: Arc<str> = claim.run.graph_id.as_str().into();
    counter!(ATTEMPTS, "graph_id" => Arc::clone(&graph_id)).increment(1);
    if lease.attempt == 1 {
        let waited = services.clock.now().since(claim.run.created_at);
        histogram!(QUEUE_WAIT, "graph_id" => Arc::clone(&graph_id)).record(waited);
    }
    let run = ClaimedRun {
        services: services.clone(),
        settings: Arc::clone(settings),
        lease,
        losses: claim.losses,
        hand_back: active.hand_back.clone(),
        held,
        start: Instant::now(),
        events: counter!(EVENTS, "graph_id" => Arc::clone(&graph_id)),
        graph_id,
        scope: Scope::tenant(claim.tenant.clone()),
        log: LogKey { thread_id: claim.run.thread_id, run_id: lease.run_id },
        resumable: claim.run.resumable,
        cancelled,
    };
    let active = Arc::clone(active);
    let tracker = active.tasks.clone();
    let task = async move {
        let _present = Present { active: Arc::clone(&active), lease, _slot: slot };
        let conclusion = tokio::select! {
            conclusion = run.attempt(claim) => conclusion,
            () = handle.lost.cancelled() => return,
            () = active.hand_back.cancelled() => Conclusion::HandBack,
        };
        // From here on nothing interrupts the task. The run has ended in the queue, so a heartbeat finds its lease
        // lost; the readers must still receive the end of the stream.
        run.conclude(conclusion).await;
    };
    tracker.spawn(task.instrument(span));
}

/// The span of an attempt, in the trace of the request that created the run. It has the level `ERROR`, so the log shows
/// the run's ids at every level.
fn span(claim: &Claim) -> Span {
    let (run, tenant) = (&claim.run, &claim.tenant);
    let span = error_span!(
        "run",
        run_id = %run.run_id,
        thread_id = %run.thread_id,
        assistant_id = %run.assistant_id,
        graph_id = run.graph_id,
        attempt = run.attempt,
        request_id = run.origin.request_id,
        organization = tenant.organization(),
        project = tenant.project(),
        deployment = tenant.deployment(),
        run_status = Empty,
        trace_id = Empty,
    );
    telemetry::adopt(&span, run.origin.trace.as_ref());
    if let Some(context) = telemetry::context_of(&span) {
        span.record("trace_id", context.trace_id());
    }
    span
}

/// A run's entry among the active runs. Dropping it removes the entry, even if the run's task panics: a panic must not
/// keep the lease alive.
struct Present {
    active: Arc<Active>,
    lease: Lease,
    _slot: OwnedSemaphorePermit,
}

impl Drop for Present {
    fn drop(&mut self) {
        self.active.remove(self.lease);
    }
}

/// A run whose lease this worker holds.
pub(crate) struct ClaimedRun {
    pub(crate) services: Services,
    pub(crate) settings: Arc<WorkerSettings>,
    pub(crate) lease: Lease,
    /// The record of the earlier, lost attempts.
    losses: Losses,
    /// Cancelled when the worker must stop. From then on, it repeats a write only a few times.
    pub(crate) hand_back: CancellationToken,
    held: Held,
    pub(crate) graph_id: Arc<str>,
    /// When this attempt began.
    pub(crate) start: Instant,
    /// Counts the appended events.
    events: Counter,
    /// The scope of the run's tenant.
    pub(crate) scope: Scope,
    pub(crate) log: LogKey,
    pub(crate) resumable: bool,
    pub(crate) cancelled: watch::Receiver<Option<langopen_core::model::CancelRequest>>,
}

impl ClaimedRun {
    /// Executes the graph. Before another attempt, the worker pauses and waits until the queue accepts writes. It holds
    /// the run meanwhile, so the run keeps its position among the runs of its thread.
    async fn attempt(&self, claim: Claim) -> Conclusion {
        let conclusion = self.execute(claim).await;
        match conclusion {
            Conclusion::TryAgain { losses, .. } if !self.record(losses).await => Conclusion::Leave,
            conclusion => conclusion,
        }
    }

    /// Executes the graph and decides what the worker does next.
    async fn execute(&self, claim: Claim) -> Conclusion {
        debug!("run started");
        let (attempt, most) = (self.lease.attempt, self.settings.max_attempts);
        if most < counted(attempt, self.losses) {
            let message = format!("the run was given up after {most} attempts");
            return self.failed(RunStatus::Error, "RunLost", message);
        }
        let timeout = self.settings.run_timeout;
        match tokio::time::timeout(timeout, self.follow(claim)).await {
            Err(_) => {
                let message = format!("the run took longer than {} s", timeout.as_secs());
                self.failed(RunStatus::Timeout, "TimeoutError", message)
            }
            Ok(Ok(result)) => self.ended(result),
            Ok(Err(error)) if error.kind() == ErrorKind::LeaseLost => {
                warn!(%error, "the run belongs to another worker now");
                Conclusion::Leave
            }
            Ok(Err(error)) => self.lost(&error.to_string(), AttemptLost::of(&error)),
        }
    }

    /// Appends the run's events as they arrive, and returns the executor's result.
    async fn follow(&self, claim: Claim) -> Result<RunResult> {
        let Lease { run_id, attempt } = self.lease;
        let metadata = format!(r#"{{"run_id":"{run_id}","attempt":{attempt}}}"#);
        self.held.sure().await;
        let begins = self.append_output(vec![NewEvent { name: "metadata".into(), data: metadata.into() }]);
        let storage = &self.services.storage;
        let context = ExecutionContext::new(storage.clone(), storage.clone(), self.scope.clone());
        let job = RunJob::new(claim.run, context, self.cancelled.clone())
            .with_fresh_thread(claim.fresh_thread)
            .with_suspect(self.losses.suspected > 0);
        // The execution starts while the first event is written, and its outputs wait for that.
        let (begun, outputs) = tokio::join!(begins, self.services.executor.execute(job));
        begun?;
        let mut outputs = outputs?.ready_chunks(BATCH);
        while let Some(chunk) = outputs.next().await {
            let mut events = Vec::with_capacity(chunk.len());
            let mut end = None;
            for output in chunk {
                match output {
                    Ok(RunOutput::Event { name, data }) => events.push(NewEvent { name, data }),
                    Ok(RunOutput::Done(done)) => end = Some(Ok(*done)),
                    Err(error) => end = Some(Err(error)),
                }
            }
            // Append the events before an error too: the next attempt continues after them.
            if !events.is_empty() {
                self.held.sure().await;
                self.append_output(events).await?;
            }
            if let Some(end) = end {
                return end;
            }
        }
        Err(Error::unavailable("worker.execute", "the executor stopped without reporting the end of the run"))
    }

    fn ended(&self, result: RunResult) -> Conclusion {
        let cancel = self.cancelled.borrow().clone();
        if let Some(detail) = &result.detail {
            tracing::info!(status = ?result.status, "the run's graph ended with an error:\n{}", detail.trim_end());
        }
        if result.retryable && cancel.is_none() {
            let why = result.error.as_ref().map_or("the executor failed", |error| error.message.as_str());
            return self.lost(why, None);
        }
        Conclusion::End(Box::new(outcome::of(result, cancel)))
    }

    /// Handles a failure of the platform: the worker makes another attempt or ends the run. If the run was cancelled
    /// meanwhile, it ends as cancelled.
    fn lost(&self, why: &str, lost: Option<&AttemptLost>) -> Conclusion {
        let verdict = judge(self.lease.attempt, self.settings.max_attempts, self.losses, lost);
        match verdict {
            Verdict::Retry(losses) if self.cancelled.borrow().is_none() => {
                Conclusion::TryAgain { why: why.to_owned(), losses }
            }
            Verdict::Retry(_) => self.failed(RunStatus::Error, "RunLost", why.to_owned()),
            Verdict::GiveUp(RunError { error, message }) => {
                let ended = format_args!("{error}: {message}");
                tracing::error!(error = %ended, reason = why, "the executor lost the run, and no attempt is left");
                self.failed(RunStatus::Error, &error, message)
            }
        }
    }

    fn failed(&self, status: RunStatus, class: &str, message: String) -> Conclusion {
        let error = RunError { error: class.to_owned(), message };
        let cancel = self.cancelled.borrow().clone();
        Conclusion::End(Box::new(outcome::failed(status, error, cancel)))
    }

    /// Appends events of the execution. A log that does not answer is not the run's fault, so the lost attempt does not
    /// count.
    async fn append_output(&self, events: Vec<NewEvent>) -> Result<()> {
        self.append(events).await.map_err(|error| match error.is_retryable() {
            true => AttemptLost::new(Blame::Bystander, format!("cannot append events: {error}")).into(),
            false => error,
        })
    }

    pub(crate) async fn append(&self, events: Vec<NewEvent>) -> Result<()> {
        let count = events.len() as u64;
        self.services.events.append(self.log, self.lease.attempt, self.resumable, events).await?;
        self.events.increment(count);
        Ok(())
    }
}
