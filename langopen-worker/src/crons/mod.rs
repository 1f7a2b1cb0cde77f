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
use crate::{DeploymentRules, Services};

/// The longest pause between two looks, whatever wake-ups there were.
const POLL: Duration = Duration::from_secs(5);

/// The shortest pause between two looks that find nothing to do, and after one that failed.
const SHORTEST: Duration = Duration::from_millis(1);
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// How long no cron fires after the clock was set forward: its next moment would be counted from there, and lie far
/// ahead once the clock is put right.
const PATIENCE: Duration = Duration::from_secs(300);

/// How many crons one look takes, and how many of them are fired at a time.
const BATCH: u32 = 256;
const TOGETHER: usize = 32;

/// Fires crons that are due.
pub(crate) struct Scheduler {
    pub(crate) services: Services,
    pub(crate) ids: Arc<dyn IdSource>,
    /// How long threads live that crons make.
    pub(crate) thread_ttl: Option<ThreadTtl>,
    /// Where deployments have rules of their own.
    pub(crate) rules: Option<Arc<dyn DeploymentRules>>,
}

impl Scheduler {
    /// Fires until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let wakes = self.services.storage.cron_wakes();
        info!("cron scheduler started");
        let mut watch = ClockWatch::new("crons", PATIENCE, &*self.services.clock);
        loop {
            // Listening begins before looking: a change that comes in between rings.
            let woken = wakes.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            let fired = match watch.trusts(&*self.services.clock) {
                true => self.fire_due(&stop).await,
                false => Ok(POLL),
            };
            let pause = match fired {
                Ok(pause) => pause,
                Err(error) => {
                    error!(%error, "due crons cannot be looked up; trying again");
                    AFTER_FAILURE
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = woken => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// How long threads live that the deployment's crons make.
    fn thread_ttl(&self, tenant: &Tenant) -> Option<ThreadTtl> {
        self.rules.as_ref().map_or(self.thread_ttl, |rules| rules.thread_ttl(tenant))
    }

    /// Fires a batch of what is due, and says how long there is nothing more to do.
    async fn fire_due(&self, stop: &CancellationToken) -> Result<Duration> {
        let DueCrons { crons, next_due } = self.services.storage.due_crons(BATCH).await?;
        // What was begun is ended, also when it is time to stop.
        let firings = futures::stream::iter(crons).take_until(stop.cancelled());
        let moved_on = firings.map(|due| self.fire(due)).buffer_unordered(TOGETHER);
        let stuck = moved_on.filter(|moved_on| futures::future::ready(!moved_on)).count().await;
        if stuck > 0 {
            return Ok(AFTER_FAILURE);
        }
        // Never at once: a clock that goes back must not turn this into a busy loop.
        let now = self.services.clock.now();
        Ok(next_due.map_or(POLL, |due| due.since(now).clamp(SHORTEST, POLL)))
    }
}
