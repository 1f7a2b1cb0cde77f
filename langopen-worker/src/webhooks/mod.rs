//! Telling webhooks that runs have ended.
//!
//! Whatever becomes of a delivery, its run is not touched. A receiver is told at least once: it may be told again after a stop, so it should go by `run_id`.

mod headers;
mod pause;
mod payload;
mod resolve;
mod send;
mod senders;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use langopen_core::outbox::{Delivery, DueDeliveries};
use langopen_core::{Clock, ErrorKind, Outbox, Result, Timestamp};
use reqwest::dns::Resolve;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, error, info_span, warn};

pub use headers::{InvalidHeader, WebhookHeaders};
pub use settings::WebhookSettings;

use crate::DeploymentRules;
use crate::metrics::WEBHOOK_ATTEMPTS;
use resolve::SystemResolver;
use send::Attempt;
use senders::Senders;

/// The longest pause between two looks, whatever wake-ups there were.
const POLL: Duration = Duration::from_secs(1);

/// The shortest pause while a delivery waits for its time.
const SHORTEST: Duration = Duration::from_millis(1);

/// How often what was given up is swept.
const SWEEP: Duration = Duration::from_secs(600);

/// How long a delivery waits whose deployment's rules are not known.
const UNKNOWN_PAUSE: Duration = Duration::from_secs(10);

/// How much longer a claim lasts than an attempt may take.
const LEASE_MARGIN: Duration = Duration::from_secs(30);

/// Sends what an [`Outbox`] holds.
#[derive(Clone)]
pub struct WebhookDispatcher {
    outbox: Arc<dyn Outbox>,
    clock: Arc<dyn Clock>,
    settings: Arc<WebhookSettings>,
    senders: Arc<Senders>,
}

impl WebhookDispatcher {
    /// A dispatcher that is not running yet. `clock` is the one that the outbox reads.
    ///
    /// # Errors
    /// `Invalid` for an `own_url` that is none.
    pub fn new(outbox: Arc<dyn Outbox>, clock: Arc<dyn Clock>, settings: WebhookSettings) -> Result<Self> {
        Self::with_resolver(outbox, clock, settings, Arc::new(SystemResolver))
    }

    /// The same, with another way to look hosts' names up. What it finds is checked by the policy.
    ///
    /// # Errors
    /// As [`WebhookDispatcher::new`].
    pub fn with_resolver(
        outbox: Arc<dyn Outbox>,
        clock: Arc<dyn Clock>,
        settings: WebhookSettings,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self> {
        let settings = Arc::new(settings);
        let senders = Arc::new(Senders::new(Arc::clone(&settings), resolver)?);
        Ok(Self { outbox, clock, settings, senders })
    }

    /// Sends by the rules of the deployment that each run is of.
    #[must_use]
    pub fn with_rules(mut self, rules: Arc<dyn DeploymentRules>) -> Self {
        self.senders = Arc::new(self.senders.with_rules(rules));
        self
    }

    /// Delivers until `stop`; then claims nothing more, lets deliveries under way end within the grace period, puts the rest off, and returns.
    pub async fn run(self, stop: CancellationToken) {
        let (tasks, hand_back) = (TaskTracker::new(), CancellationToken::new());
        tokio::select! {
            () = self.claim_until(&stop, &tasks, &hand_back) => {}
            () = self.sweep() => {}
        }
        tasks.close();
        if tokio::time::timeout(self.settings.grace, tasks.wait()).await.is_err() {
            hand_back.cancel();
            tasks.wait().await;
        }
    }

    async fn claim_until(&self, stop: &CancellationToken, tasks: &TaskTracker, hand_back: &CancellationToken) {
        let wakes = self.outbox.delivery_wakes();
        let slots = Arc::new(Semaphore::new(self.settings.concurrency.max(1)));
        let lease = self.settings.timeout + LEASE_MARGIN;
        loop {
            let mut places = tokio::select! {
                () = stop.cancelled() => return,
                places = free_places(&slots) => places,
            };
            // Listening begins before looking: a delivery that comes in between rings.
            let woken = wakes.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            let DueDeliveries { deliveries, next_due } = match self.outbox.claim_deliveries(places.len(), lease).await {
                Ok(due) => due,
                Err(error) => {
                    error!(%error, "webhooks' deliveries cannot be claimed; trying again in a second");
                    DueDeliveries::default()
                }
            };
            let full = deliveries.len() == places.len();
            for (delivery, place) in deliveries.into_iter().zip(places.drain(..)) {
                let span = info_span!("webhook", run_id = %delivery.run_id, attempt = delivery.attempt, tenant = %delivery.tenant);
                let (dispatcher, hand_back) = (self.clone(), hand_back.clone());
                let task = async move {
                    dispatcher.deliver(delivery, &hand_back).await;
                    drop(place);
                };
                tasks.spawn(task.instrument(span));
            }
            if full {
                continue;
            }
            // Never at once: a clock that goes back must not turn this into a busy loop.
            let due = next_due.map_or(POLL, |due| due.since(self.clock.now()).clamp(SHORTEST, POLL));
            tokio::select! {
                () = stop.cancelled() => return,
                () = woken => {}
                () = tokio::time::sleep(due) => {}
            }
        }
    }

    async fn deliver(&self, delivery: Delivery, hand_back: &CancellationToken) {
        let lease = delivery.lease();
        let (settings, sender) = match self.senders.of(&delivery.tenant) {
            Ok(Some(found)) => found,
            Ok(None) => {
                let until = self.clock.now().plus(UNKNOWN_PAUSE);
                self.kept(self.outbox.put_off(lease, until, "the deployment's rules are not known yet").await);
                return;
            }
            Err(error) => {
                self.kept(self.give_up(&delivery, &error.to_string()).await);
                return;
            }
        };
        let attempt = tokio::select! {
            attempt = sender.attempt(&settings, &delivery, self.clock.now()) => attempt,
            () = hand_back.cancelled() => {
                self.kept(self.outbox.put_off(lease, self.clock.now(), "the server stopped").await);
                return;
            }
        };
        let now = self.clock.now();
        let pause = |asked| pause::pause_after(&settings, lease.attempt, now.since(delivery.created_at), asked);
        let done = match attempt {
            Attempt::Delivered => {
                debug!("webhook delivered");
                count("delivered");
                self.outbox.delivered(lease).await
            }
            Attempt::TryAgain(why, asked) => match pause(asked) {
                Some(pause) => {
                    count("put_off");
                    warn!(why, pause = ?pause, "a webhook was not delivered; it will be tried again");
                    self.outbox.put_off(lease, now.plus(pause), &why).await
                }
                None => self.give_up(&delivery, &why).await,
            },
            Attempt::Hopeless(why) => self.give_up(&delivery, &why).await,
        };
        self.kept(done);
    }

    async fn give_up(&self, delivery: &Delivery, why: &str) -> Result<()> {
        count("given_up");
        error!(why, "a webhook could not be delivered and was given up");
        self.outbox.give_up(delivery.lease(), why).await
    }

    fn kept(&self, done: Result<()>) {
        match done {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::LeaseLost => {
                warn!(%error, "a webhook was delivered by another one too");
            }
            Err(error) => error!(%error, "what came of a webhook cannot be kept; another attempt follows"),
        }
    }

    async fn sweep(&self) {
        loop {
            let retention = i64::try_from(self.settings.failed_retention.as_micros()).unwrap_or(i64::MAX);
            let until = Timestamp::from_micros(self.clock.now().as_micros().saturating_sub(retention));
            match self.outbox.sweep_deliveries(until).await {
                Ok(0) => {}
                Ok(removed) => debug!(removed, "swept deliveries that were given up"),
                Err(error) => error!(%error, "deliveries that were given up cannot be swept; trying again"),
            }
            tokio::time::sleep(SWEEP).await;
        }
    }
}

/// Counts an attempt by what came of it.
fn count(outcome: &'static str) {
    metrics::counter!(WEBHOOK_ATTEMPTS, "outcome" => outcome).increment(1);
}

/// Waits for a free place, then takes all that are free.
async fn free_places(slots: &Arc<Semaphore>) -> Vec<OwnedSemaphorePermit> {
    // The semaphore is never closed.
    let mut places: Vec<_> = Arc::clone(slots).acquire_owned().await.into_iter().collect();
    while let Ok(place) = Arc::clone(slots).try_acquire_owned() {
        places.push(place);
    }
    places
}
