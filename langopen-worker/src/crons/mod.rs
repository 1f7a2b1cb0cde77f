//! The cron scheduler: it sleeps until the next cron is due, wakes when a cron changes, and polls every few seconds.

mod fire;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use langopen_core::model::DueCrons;
use langopen_core::model::ThreadTtl;
use langopen_core::{IdSource, Result, Tenant};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::clock_watch::ClockWatch;
use crate::rounds::{Next, pause_until, rounds};
use crate::{DeploymentRules, Services};

/// The longest pause between two polls.
const POLL: Duration = Duration::from_secs(5);

/// The pause after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// The time without firings after the clock was set forward. A firing would compute the next due time from the wrong
/// clock, so the cron would be late once the clock is corrected.
const PATIENCE: Duration = Duration::from_secs(300);

/// The number of crons per poll, and the number that fire concurrently.
const BATCH: u32 = 256;
const TOGETHER: usize = 32;

/// Fires due crons.
pub(crate) struct Scheduler {
    pub(crate) services: Services,
    pub(crate) ids: Arc<dyn IdSource>,
    /// The lifetime of threads that crons create; `None` if they do not expire.
    pub(crate) thread_ttl: Option<ThreadTtl>,
    /// The rules per deployment, if deployments have rules of their own. They replace `thread_ttl`.
    pub(crate) rules: Option<Arc<dyn DeploymentRules>>,
}

impl Scheduler {
    /// Fires crons until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        info!("cron scheduler started");
        let mut watch = ClockWatch::new("crons", PATIENCE, &*self.services.clock);
        let (scheduler, stop) = (&self, &stop);
        let round = || {
            let trusted = watch.trusts(&*scheduler.services.clock);
            async move {
                let fired = if trusted { scheduler.fire_due(stop).await } else { Ok(POLL) };
                Next::After(fired.unwrap_or_else(|error| {
                    error!(%error, "cannot read due crons; trying again");
                    AFTER_FAILURE
                }))
            }
        };
        rounds(self.services.storage.cron_wakes(), stop, round).await;
    }

    /// The lifetime of threads that the deployment's crons create.
    fn thread_ttl(&self, tenant: &Tenant) -> Option<ThreadTtl> {
        self.rules.as_ref().map_or(self.thread_ttl, |rules| rules.thread_ttl(tenant))
    }

    /// Fires a batch of due crons, and returns the pause until the next poll.
    async fn fire_due(&self, stop: &CancellationToken) -> Result<Duration> {
        let DueCrons { crons, next_due } = self.services.storage.due_crons(BATCH).await?;
        // A firing that has begun runs to its end, even after `stop`.
        let firings = futures::stream::iter(crons).take_until(stop.cancelled());
        let moved_on = firings.map(|due| self.fire(due)).buffer_unordered(TOGETHER);
        let stuck = moved_on.filter(|moved_on| futures::future::ready(!moved_on)).count().await;
        if stuck > 0 {
            return Ok(AFTER_FAILURE);
        }
        Ok(pause_until(next_due, &*self.services.clock, POLL))
    }
}
