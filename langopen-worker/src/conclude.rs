//! The last steps of an attempt: the worker commits the end of the run and then ends its stream, or it hands the run
//! back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use langopen_core::event_log::NewEvent;
use langopen_core::model::RunError;
use langopen_core::queue::{Losses, Outcome};
use langopen_core::{ErrorKind, Result, RunStatus};
use metrics::{counter, histogram};
use tracing::{Span, error, info, warn};

use crate::metrics::{RETRIES, RUN_DURATION, RUNS_ENDED};
use crate::run::ClaimedRun;

/// The number of tries for a write that the worker does not repeat indefinitely.
const TRIES: u32 = 6;

/// The pause before the second try, and the longest pause. Each pause is twice as long as the one before.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// The pause before the next attempt of a run. It grows with each attempt.
fn pause_after(attempt: u32) -> Duration {
    const PER_ATTEMPT: Duration = Duration::from_millis(100);
    const MOST: Duration = Duration::from_secs(5);
    PER_ATTEMPT.saturating_mul(attempt).min(MOST)
}

/// The worker's next step after an attempt.
pub(crate) enum Conclusion {
    /// The worker commits this end.
    End(Box<Outcome>),
    /// The worker hands the run back for another attempt.
    TryAgain {
        /// Why the attempt was lost.
        why: String,
        /// The record of all lost attempts so far.
        losses: Losses,
    },
    /// The worker hands the run back because the worker stops.
    HandBack,
    /// The worker does nothing, because it no longer owns the run.
    Leave,
}

/// Repeats a step until it succeeds, fails with an error that is not retryable, or `may_go_on` returns `false` for the
/// number of tries so far.
async fn persist<F: Future<Output = Result<()>>>(
    not_yet: &'static str,
    step: impl Fn() -> F,
    may_go_on: impl Fn(u32) -> bool,
) -> Result<()> {
    let (mut pause, longest) = PAUSES;
    let mut tries = 0;
    loop {
        tries += 1;
        match step().await {
            Err(error) if error.is_retryable() && may_go_on(tries) => warn!(%error, tries, "{not_yet}"),
            other => return other,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

impl ClaimedRun {
    pub(crate) async fn conclude(&self, conclusion: Conclusion) {
        match conclusion {
            Conclusion::End(outcome) => self.finish(*outcome).await,
            Conclusion::TryAgain { why, .. } => {
                warn!(reason = why, "the platform, not the graph, failed; the run gets another attempt");
                counter!(RETRIES, "graph_id" => Arc::clone(&self.graph_id)).increment(1);
                self.release().await;
            }
            Conclusion::HandBack => self.release().await,
            Conclusion::Leave => {}
        }
    }

    /// Commits the end, and then ends the stream: when a client sees the end of the stream, the status is already
    /// committed.
    async fn finish(&self, outcome: Outcome) {
        let status = outcome.status;
        let failure = match status {
            RunStatus::Error | RunStatus::Timeout => outcome.error.clone(),
            _ => None,
        };
        if let Err(error) = self.commit(outcome).await {
            match error.kind() {
                ErrorKind::LeaseLost => warn!(%error, "the run belongs to another worker now, or was deleted"),
                _ => {
                    error!(%error, "cannot commit the end of the run; another attempt follows when the lease expires")
                }
            }
            return;
        }
        let graph_id = || Arc::clone(&self.graph_id);
        counter!(RUNS_ENDED, "graph_id" => graph_id(), "status" => status.as_str()).increment(1);
        histogram!(RUN_DURATION, "graph_id" => graph_id(), "status" => status.as_str()).record(self.start.elapsed());
        Span::current().record("run_status", status.as_str());
        info!(duration_ms = self.start.elapsed().as_micros() as f64 / 1000.0, "run ended");
        if let Some(failure) = failure {
            self.append_error(&failure).await;
        }
        let ended =
            persist("cannot end the run's event log yet", || self.services.events.end(self.log), |tries| tries < TRIES);
        if let Err(error) = ended.await {
            error!(%error, "cannot end the run's event log; readers detect the end by the run's status");
        }
    }

    async fn commit(&self, outcome: Outcome) -> Result<()> {
        let unanswered = AtomicBool::new(false);
        let step = || self.try_commit(outcome.clone(), &unanswered);
        persist("cannot commit the end of the run yet", step, |tries| self.may_wait(tries)).await
    }

    /// Whether to repeat a write that the queue did not accept. Unless it must stop, the worker holds the lease as long
    /// as the queue needs: another attempt would repeat this one's work and fail for the same reason.
    fn may_wait(&self, tries: u32) -> bool {
        tries < TRIES || !self.hand_back.is_cancelled()
    }

    /// Pauses before another attempt and records the lost attempts in the queue. Returns `false` if the lease is lost.
    ///
    /// A queue that does not accept this write would not accept the writes of another attempt either. So the worker
    /// repeats the write until the queue accepts it.
    pub(crate) async fn record(&self, losses: Losses) -> bool {
        tokio::time::sleep(pause_after(self.lease.attempt)).await;
        let step = || self.services.queue.record_losses(self.lease, losses);
        let recorded = persist("cannot record the loss of an attempt yet", step, |tries| self.may_wait(tries));
        match recorded.await {
            Err(error) if error.kind() == ErrorKind::LeaseLost => {
                warn!(%error, "the run belongs to another worker now, or was deleted");
                false
            }
            Err(error) => {
                warn!(%error, "cannot record the loss of an attempt; the next attempt starts without the record");
                true
            }
            Ok(()) => true,
        }
    }

    async fn try_commit(&self, outcome: Outcome, unanswered: &AtomicBool) -> Result<()> {
        match self.services.queue.finish(self.lease, outcome).await {
            Ok(_) => Ok(()),
            // An earlier try may have succeeded although its answer was lost. Then no other worker ends the stream.
            Err(error) if error.kind() == ErrorKind::LeaseLost && unanswered.load(Relaxed) => {
                if self.has_ended().await? { Ok(()) } else { Err(error) }
            }
            Err(error) => {
                unanswered.fetch_or(error.is_retryable(), Relaxed);
                Err(error)
            }
        }
    }

    /// Whether the run ended in this attempt, or was deleted.
    async fn has_ended(&self) -> Result<bool> {
        let run = self.services.storage.run(&self.scope, self.log.thread_id, self.lease.run_id).await?;
        Ok(run.is_none_or(|run| run.attempt == self.lease.attempt && run.status.is_terminal()))
    }

    async fn append_error(&self, failure: &RunError) {
        let data = match serde_json::to_vec(failure) {
            Ok(data) => Bytes::from(data),
            Err(error) => return error!(%error, "cannot encode the run's error as JSON"),
        };
        if let Err(error) = self.append(vec![NewEvent { name: "error".into(), data }]).await {
            error!(%error, "cannot append the run's error event; the run's status shows the failure");
        }
    }

    /// Hands the run back without a delay: a delay would let later runs of the thread begin first.
    async fn release(&self) {
        let step = || self.services.queue.release(self.lease, Duration::ZERO);
        if let Err(error) = persist("cannot hand the run back yet", step, |tries| self.may_wait(tries)).await {
            warn!(%error, "cannot hand the run back; another attempt follows when the lease expires");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use langopen_core::Error;

    use super::*;

    #[tokio::test]
    async fn a_write_is_repeated_as_long_as_it_may_be() {
        let tries = AtomicU32::new(0);
        let step = || async {
            match tries.fetch_add(1, Relaxed) {
                0..3 => Err(Error::unavailable("test", "the disk is full")),
                _ => Ok(()),
            }
        };
        assert!(persist("not yet", step, |tries| tries < 2).await.is_err());
        assert_eq!(tries.load(Relaxed), 2);
        assert!(persist("not yet", step, |_| true).await.is_ok());
        assert_eq!(tries.load(Relaxed), 4);
        let refused = || async { Err(Error::new(ErrorKind::LeaseLost, "test", "no")) };
        assert_eq!(persist("not yet", refused, |_| true).await.unwrap_err().kind(), ErrorKind::LeaseLost);
    }
}
