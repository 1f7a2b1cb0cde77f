//! Sends webhooks for runs that have ended.
//!
//! The fate of a delivery never changes its run. Delivery is at least once: after a stop, the dispatcher may send a
//! webhook again. Receivers should deduplicate by `run_id`.

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
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span, debug, error, error_span, warn};

pub use headers::{InvalidHeader, WebhookHeaders};
pub use settings::WebhookSettings;

use crate::DeploymentRules;
use crate::metrics::WEBHOOK_ATTEMPTS;
use crate::rounds::{Next, free_slots, pause_until, rounds};
use resolve::SystemResolver;
use send::Attempt;
use senders::Senders;

/// The longest pause between two claims.
const POLL: Duration = Duration::from_secs(1);

/// The pause between two sweeps of deliveries that were given up.
const SWEEP: Duration = Duration::from_secs(600);

/// The pause of a delivery while the rules of its deployment are unknown.
const UNKNOWN_PAUSE: Duration = Duration::from_secs(10);

/// The part of a delivery's lease beyond the timeout of an attempt.
const LEASE_MARGIN: Duration = Duration::from_secs(30);

/// Sends the deliveries of an [`Outbox`].
#[derive(Clone)]
pub struct WebhookDispatcher {
    outbox: Arc<dyn Outbox>,
    clock: Arc<dyn Clock>,
    settings: Arc<WebhookSettings>,
    senders: Arc<Senders>,
}

impl WebhookDispatcher {
    /// A dispatcher that is not running yet. `clock` is the clock that the outbox reads.
    ///
    /// # Errors
    /// `Invalid` if `own_url` is not a URL.
    pub fn new(outbox: Arc<dyn Outbox>, clock: Arc<dyn Clock>, settings: WebhookSettings) -> Result<Self> {
        Self::with_resolver(outbox, clock, settings, Arc::new(SystemResolver))
    }

    /// Like [`WebhookDispatcher::new`], with a resolver for host names. The URL policy checks the addresses that it
    /// returns.
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

    /// Applies the rules of each run's deployment.
    #[must_use]
    pub fn with_rules(mut self, rules: Arc<dyn DeploymentRules>) -> Self {
        self.senders = Arc::new(self.senders.with_rules(rules));
        self
    }

    /// Delivers until `stop`. Then it claims no more deliveries, lets deliveries in flight end within the grace period,
    /// makes the remaining ones due again, and returns.
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
        let slots = Arc::new(Semaphore::new(self.settings.concurrency.max(1)));
        let lease = self.settings.timeout + LEASE_MARGIN;
        let round = || async {
            let Some(slots) = free_slots(&slots, stop).await else { return Next::Stop };
            let claimed = self.outbox.claim_deliveries(slots.len(), lease).await;
            let DueDeliveries { deliveries, next_due } = claimed.unwrap_or_else(|error| {
                error!(%error, "cannot claim webhook deliveries; trying again in a second");
                DueDeliveries::default()
            });
            let full = deliveries.len() == slots.len();
            for (delivery, slot) in deliveries.into_iter().zip(slots) {
                let span = span(&delivery);
                let (dispatcher, hand_back) = (self.clone(), hand_back.clone());
                let task = async move {
                    dispatcher.deliver(delivery, &hand_back).await;
                    drop(slot);
                };
                tasks.spawn(task.instrument(span));
            }
            if full { Next::Again } else { Next::After(pause_until(next_due, &*self.clock, POLL)) }
        };
        rounds(self.outbox.delivery_wakes(), stop, round).await;
    }

    async fn deliver(&self, delivery: Delivery, hand_back: &CancellationToken) {
        let lease = delivery.lease();
        let (settings, sender) = match self.senders.of(&delivery.tenant) {
            Ok(Some(found)) => found,
            Ok(None) => {
                let until = self.clock.now().plus(UNKNOWN_PAUSE);
                self.log_failure(self.outbox.put_off(lease, until, "the deployment's rules are not known yet").await);
                return;
            }
            Err(error) => {
                self.log_failure(self.give_up(&delivery, &error.to_string()).await);
                return;
            }
        };
        let attempt = tokio::select! {
            attempt = sender.attempt(&settings, &delivery, self.clock.now()) => attempt,
            () = hand_back.cancelled() => {
                self.log_failure(self.outbox.put_off(lease, self.clock.now(), "the server stopped").await);
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
                    warn!(reason = why, ?pause, "the webhook was not delivered; another attempt follows");
                    self.outbox.put_off(lease, now.plus(pause), &why).await
                }
                None => self.give_up(&delivery, &why).await,
            },
            Attempt::Hopeless(why) => self.give_up(&delivery, &why).await,
        };
        self.log_failure(done);
    }

    async fn give_up(&self, delivery: &Delivery, why: &str) -> Result<()> {
        count("given_up");
        error!(reason = why, "the webhook cannot be delivered; giving it up");
        self.outbox.give_up(delivery.lease(), why).await
    }

    fn log_failure(&self, done: Result<()>) {
        match done {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::LeaseLost => {
                warn!(%error, "another dispatcher has claimed the webhook meanwhile; the receiver may get it twice");
            }
            Err(error) => error!(%error, "cannot record the result of a webhook; another attempt follows"),
        }
    }

    async fn sweep(&self) {
        loop {
            let retention = i64::try_from(self.settings.failed_retention.as_micros()).unwrap_or(i64::MAX);
            let until = Timestamp::from_micros(self.clock.now().as_micros().saturating_sub(retention));
            match self.outbox.sweep_deliveries(until).await {
                Ok(0) => {}
                Ok(removed) => debug!(removed, "swept deliveries that were given up"),
                Err(error) => error!(%error, "cannot sweep deliveries that were given up; trying again"),
            }
            tokio::time::sleep(SWEEP).await;
        }
    }
}

/// The span of one attempt to deliver a webhook. It has the level `ERROR`, so the log shows the ids at every level.
fn span(delivery: &Delivery) -> Span {
    let tenant = &delivery.tenant;
    error_span!(
        "webhook",
        run_id = %delivery.run_id,
        delivery_attempt = delivery.attempt,
        organization = tenant.organization(),
        project = tenant.project(),
        deployment = tenant.deployment(),
    )
}

/// Counts an attempt by its outcome.
fn count(outcome: &'static str) {
    metrics::counter!(WEBHOOK_ATTEMPTS, "outcome" => outcome).increment(1);
}
