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

/// How often to try when the end of a run's log cannot be kept, or when the worker is about to stop.
const TRIES: u32 = 6;

/// The pause before the second try, and the longest one. Each is twice as long as the one before.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// The pause before a run is attempted anew: longer after each attempt.
fn pause_after(attempt: u32) -> Duration {
    const PER_ATTEMPT: Duration = Duration::from_millis(100);
    const MOST: Duration = Duration::from_secs(5);
    PER_ATTEMPT.saturating_mul(attempt).min(MOST)
}

/// What the worker does with a run after an attempt.
pub(crate) enum Conclusion {
    /// It commits this end.
    End(Box<Outcome>),
    /// It makes another attempt.
    TryAgain {
        /// Why the attempt was lost.
        why: String,
        /// How all attempts so far were lost.
        losses: Losses,
    },
    /// It hands the run back, because it stops.
    HandBack,
    /// It does nothing: the run belongs to another worker.
    Leave,
}

/// Repeats a step until it works, fails for good, or `may_go_on` returns `false` for the number of tries so far.
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
                warn!(why, "the run failed for a reason that is not its graph's; it will be tried again");
                counter!(RETRIES, "graph_id" => Arc::clone(&self.graph_id)).increment(1);
                self.release().await;
            }
            Conclusion::HandBack => self.release().await,
            Conclusion::Leave => {}
        }
    }

    /// Commits the end, and then ends the stream: a client that sees the end of the stream finds the status committed.
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
                    error!(%error, "the end of the run cannot be kept; another attempt follows when its lease is over")
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
            self.tell(&failure).await;
        }
        let ended = persist(
            "the run's event log cannot be ended yet",
            || self.services.events.end(self.log),
            |tries| tries < TRIES,
        );
        if let Err(error) = ended.await {
            error!(%error, "the run's event log cannot be ended; readers learn it from the run's status");
        }
    }

    async fn commit(&self, outcome: Outcome) -> Result<()> {
        let unanswered = AtomicBool::new(false);
        let step = || self.try_commit(outcome.clone(), &unanswered);
        persist("the end of the run cannot be kept yet", step, |tries| self.may_wait(tries)).await
    }

    /// Whether to repeat a write that the queue did not take. Unless the worker has to stop, it holds the lease as long
    /// as the queue needs: another attempt would repeat the work of this one, and fail for the same reason.
    fn may_wait(&self, tries: u32) -> bool {
        tries < TRIES || !self.hand_back.is_cancelled()
    }

    /// Pauses before another attempt, and records how the attempts so far were lost. Returns `false` if the lease is
    /// lost.
    ///
    /// A queue that does not take this write would not take those of another attempt either, so the worker waits until
    /// it does.
    pub(crate) async fn record(&self, losses: Losses) -> bool {
        tokio::time::sleep(pause_after(self.lease.attempt)).await;
        let step = || self.services.queue.record_losses(self.lease, losses);
        let recorded = persist("the loss of an attempt cannot be recorded yet", step, |tries| self.may_wait(tries));
        match recorded.await {
            Err(error) if error.kind() == ErrorKind::LeaseLost => {
                warn!(%error, "the run belongs to another worker now, or was deleted");
                false
            }
            Err(error) => {
                warn!(%error, "the loss of an attempt cannot be recorded; the next attempt does not know of it");
                true
            }
            Ok(()) => true,
        }
    }

    async fn try_commit(&self, outcome: Outcome, unanswered: &AtomicBool) -> Result<()> {
        match self.services.queue.finish(self.lease, outcome).await {
            Ok(_) => Ok(()),
            // An earlier try may have worked although its answer was lost. Then only this worker will end the stream.
            Err(error) if error.kind() == ErrorKind::LeaseLost && unanswered.load(Relaxed) => {
                if self.has_ended().await? { Ok(()) } else { Err(error) }
            }
            Err(error) => {
                unanswered.fetch_or(error.is_retryable(), Relaxed);
                Err(error)
            }
        }
    }

    /// Whether the run ended in this attempt, or is gone.
    async fn has_ended(&self) -> Result<bool> {
        let run = self.services.storage.run(&self.scope, self.log.thread_id, self.lease.run_id).await?;
        Ok(run.is_none_or(|run| run.attempt == self.lease.attempt && run.status.is_terminal()))
    }

    async fn tell(&self, failure: &RunError) {
        let data = match serde_json::to_vec(failure) {
            Ok(data) => Bytes::from(data),
            Err(error) => return error!(%error, "a failure has no JSON form"),
        };
        if let Err(error) = self.append(vec![NewEvent { name: "error".into(), data }]).await {
            error!(%error, "the run's error event cannot be kept; its status says the same");
        }
    }

    /// Hands the run back at once: a delay would let the runs behind it begin before it.
    async fn release(&self) {
        let step = || self.services.queue.release(self.lease, Duration::ZERO);
        if let Err(error) = persist("the run cannot be handed back yet", step, |tries| self.may_wait(tries)).await {
            warn!(%error, "the run cannot be handed back; another attempt follows when its lease is over");
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
