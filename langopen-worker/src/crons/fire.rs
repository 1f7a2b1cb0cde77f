//! Fires one cron: creates the run of its payload on behalf of its creator.

use langopen_core::model::{Cron, CronFiring, DueCron, NewRun};
use langopen_core::run_plan::{RunPlan, RunRequest, TargetThread, without_reserved_metadata};
use langopen_core::{Error, ErrorKind, Result, RunId, Scope, ThreadId, Timestamp};
use serde_json::Value;
use tracing::{debug, error, info, instrument, warn};

use super::Scheduler;
use crate::metrics;

impl Scheduler {
    /// Fires a cron, or skips its due time if it cannot fire. Returns whether the cron has advanced; if not, the
    /// scheduler tries it again.
    #[instrument(
        level = "error",
        skip_all,
        fields(
            cron_id = %due.cron.cron_id,
            organization = due.tenant.organization(),
            project = due.tenant.project(),
            deployment = due.tenant.deployment(),
        )
    )]
    pub(super) async fn fire(&self, due: DueCron) -> bool {
        let now = self.services.clock.now();
        let scope = Scope::tenant(due.tenant.clone());
        let Some(firing) = firing(&due.cron, now) else { return true };
        let failure = match self.create_run(&scope, due, firing, now).await {
            Ok(()) => {
                ::metrics::counter!(metrics::CRON_FIRINGS, "outcome" => "fired").increment(1);
                return true;
            }
            Err(failure) => failure,
        };
        match failure.kind() {
            // The thread is busy, another scheduler was faster, or the deployment has reached a limit. The other crons
            // must not wait for this one.
            ErrorKind::Conflict | ErrorKind::LimitReached => {}
            kind if kind.is_retryable() => {
                warn!(error = %failure, "the cron cannot fire now; trying again");
                return false;
            }
            ErrorKind::NotFound => warn!(error = %failure, "the cron's assistant or thread no longer exists"),
            _ => error!(error = %failure, "the cron cannot fire"),
        }
        match self.services.storage.skip_cron(&scope, firing).await {
            Ok(()) => {
                ::metrics::counter!(metrics::CRON_FIRINGS, "outcome" => "passed_over").increment(1);
                info!(reason = failure.message(), "the cron skipped a due time");
                true
            }
            Err(error) if error.kind() == ErrorKind::Conflict => {
                debug!("another scheduler fired the cron, or the cron changed");
                true
            }
            Err(error) => {
                warn!(%error, "cannot advance the cron; trying again");
                false
            }
        }
    }

    async fn create_run(&self, scope: &Scope, due: DueCron, firing: CronFiring, now: Timestamp) -> Result<()> {
        let new = self.plan(scope, due, firing, now).await?;
        let (run_id, thread_id) = (new.run_id, new.thread_id);
        self.services.runs.submit(scope, new).await?;
        debug!(%run_id, %thread_id, "the cron fired");
        Ok(())
    }

    async fn plan(&self, scope: &Scope, due: DueCron, firing: CronFiring, now: Timestamp) -> Result<NewRun> {
        let cron = due.cron;
        let missing = || Error::not_found("crons.fire", format!("there is no assistant {}", cron.assistant_id));
        let assistant = self.services.storage.assistant(scope, cron.assistant_id).await?.ok_or_else(missing)?;
        let thread = match cron.thread_id {
            Some(thread_id) => TargetThread::Given(thread_id),
            None => TargetThread::Own(ThreadId(self.ids.ordered())),
        };
        let request = request(&cron)?;
        let plan = RunPlan {
            run_id: RunId(self.ids.ordered()),
            thread,
            // The cron owns the thread that it creates: callers that may see the cron may see the thread.
            stamp: request.metadata.clone().unwrap_or_default(),
            request,
            assistant: &assistant,
            identity: &cron.creator.in_tenant(due.tenant),
            headers: &[],
            request_id: None,
            now,
            needs_values: false,
            firing: Some(firing),
            thread_ttl: self.thread_ttl(&scope.tenant),
        };
        plan.build()
    }
}

/// The firing for the due time. Due times that were missed since then do not fire: the next one is after `now`.
fn firing(cron: &Cron, now: Timestamp) -> Option<CronFiring> {
    let due = cron.next_run_date?;
    let next = cron.next_after(now).unwrap_or_else(|error| {
        error!(%error, "the cron's schedule is no longer valid; the cron fires for the last time");
        None
    });
    Some(CronFiring { cron_id: cron.cron_id, due, next })
}

/// The request for the cron's run.
fn request(cron: &Cron) -> Result<RunRequest> {
    let damaged = |error| Error::internal("crons.fire", "the cron's payload is damaged").with_source(error);
    let mut request: RunRequest = cron.payload.decode().map_err(damaged)?;
    request.metadata = Some(without_reserved_metadata(cron.metadata.clone()));
    request.on_completion = cron.on_run_completed;
    // The stored payload has `cron_id` in its `configurable`, which cannot be combined with a context. The plan adds it
    // again.
    if request.context.as_ref().is_some_and(|context| !context.is_empty())
        && let Some(Value::Object(configurable)) =
            request.config.as_mut().and_then(|config| config.get_mut("configurable"))
    {
        configurable.shift_remove("cron_id");
    }
    Ok(request)
}
