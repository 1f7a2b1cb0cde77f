//! One firing: the run that a cron's payload asks for, on behalf of its creator.

use langopen_core::model::{Cron, CronFiring, DueCron, NewRun};
use langopen_core::run_plan::{Place, RunPlan, RunRequest, without_reserved_metadata};
use langopen_core::{Error, ErrorKind, Result, RunId, Scope, ThreadId, Timestamp};
use serde_json::Value;
use tracing::{debug, error, info, instrument, warn};

use super::Scheduler;
use crate::metrics;

impl Scheduler {
    /// Fires a cron, or passes its moment over when it cannot be. Returns whether its moment is over; if not, it is tried again.
    #[instrument(skip_all, fields(cron_id = %due.cron.cron_id, tenant = %due.tenant))]
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
            // Its thread is busy, another scheduler was faster, or its deployment is full: others' crons must not wait behind it.
            ErrorKind::Conflict | ErrorKind::LimitReached => {}
            kind if kind.is_retryable() => {
                warn!(error = %failure, "a cron cannot be fired now; trying again");
                return false;
            }
            ErrorKind::NotFound => warn!(error = %failure, "what the cron runs, or runs on, is not there any more"),
            _ => error!(error = %failure, "the cron cannot be fired"),
        }
        match self.services.storage.skip_cron(&scope, firing).await {
            Ok(()) => {
                ::metrics::counter!(metrics::CRON_FIRINGS, "outcome" => "passed_over").increment(1);
                info!(reason = failure.message(), "a moment of the cron was passed over");
                true
            }
            Err(error) if error.kind() == ErrorKind::Conflict => {
                debug!("the cron was fired by another scheduler, or changed");
                true
            }
            Err(error) => {
                warn!(%error, "the cron cannot be moved on; trying again");
                false
            }
        }
    }

    async fn create_run(&self, scope: &Scope, due: DueCron, firing: CronFiring, now: Timestamp) -> Result<()> {
        let new = self.plan(scope, due, firing, now).await?;
        let (run_id, thread_id) = (new.run_id, new.thread_id);
        self.services.runs().submit(scope, new).await?;
        debug!(%run_id, %thread_id, "the cron fired");
        Ok(())
    }

    async fn plan(&self, scope: &Scope, due: DueCron, firing: CronFiring, now: Timestamp) -> Result<NewRun> {
        let cron = due.cron;
        let missing = || Error::not_found("crons.fire", format!("there is no assistant {}", cron.assistant_id));
        let assistant = self.services.storage.assistant(scope, cron.assistant_id).await?.ok_or_else(missing)?;
        let place = match cron.thread_id {
            Some(thread_id) => Place::Thread(thread_id),
            None => Place::Own(ThreadId(self.ids.ordered())),
        };
        let request = request(&cron)?;
        let plan = RunPlan {
            run_id: RunId(self.ids.ordered()),
            place,
            // A thread that the cron makes is the cron's: whoever may see the one may see the other.
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

/// The firing of the moment that has come. Moments that were missed since are no longer fired: the next one lies ahead.
fn firing(cron: &Cron, now: Timestamp) -> Option<CronFiring> {
    let due = cron.next_run_date?;
    let next = cron.next_after(now).unwrap_or_else(|error| {
        error!(%error, "the cron's schedule is none any more; it fires this last time");
        None
    });
    Some(CronFiring { cron_id: cron.cron_id, due, next })
}

/// What the cron asks of its run.
fn request(cron: &Cron) -> Result<RunRequest> {
    let damaged = |error| Error::internal("crons.fire", "the cron's payload is damaged").with_source(error);
    let mut request: RunRequest = cron.payload.decode().map_err(damaged)?;
    request.metadata = Some(without_reserved_metadata(cron.metadata.clone()));
    request.on_completion = cron.on_run_completed;
    // The payload shows the cron's id among what is configurable, which a context excludes. The plan puts it there again.
    if request.context.as_ref().is_some_and(|context| !context.is_empty())
        && let Some(Value::Object(configurable)) =
            request.config.as_mut().and_then(|config| config.get_mut("configurable"))
    {
        configurable.shift_remove("cron_id");
    }
    Ok(request)
}
