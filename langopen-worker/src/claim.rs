//! Claims runs: the loop wakes when the queue signals new runs, and polls every second in any case.

use std::sync::Arc;
use std::time::Duration;

use langopen_core::queue::{ClaimRequest, Claims};
use langopen_core::{Executor, Tenant};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::active::Active;
use crate::{Services, WorkerSettings, run};

/// The longest pause between two claims.
const POLL: Duration = Duration::from_secs(1);

/// The shortest pause while a run waits for its due time.
const SHORTEST: Duration = Duration::from_millis(1);

/// The tenants whose runs the worker claims: its configured tenants, as far as the executor can serve them now. `None`
/// for all.
fn tenants(settings: &WorkerSettings, executor: &dyn Executor) -> Option<Vec<Tenant>> {
    match (settings.tenants.clone(), executor.tenants()) {
        (Some(wanted), Some(able)) => Some(wanted.into_iter().filter(|tenant| able.contains(tenant)).collect()),
        (wanted, able) => wanted.or(able),
    }
}

/// Claims and starts runs until `stop`.
pub(crate) async fn claim_until(
    services: &Services,
    settings: &Arc<WorkerSettings>,
    active: &Arc<Active>,
    stop: &CancellationToken,
) {
    let wakes = services.queue.wakes();
    loop {
        let mut places = tokio::select! {
            () = stop.cancelled() => return,
            places = active.places() => places,
        };
        // Register for wake-ups before the claim, so a run that is created in between wakes the loop.
        let woken = wakes.notified();
        tokio::pin!(woken);
        woken.as_mut().enable();
        let free = places.len();
        let request = ClaimRequest {
            worker: settings.name.clone(),
            max: free,
            lease: settings.lease,
            tenants: tenants(settings, &*services.executor),
        };
        let held_until = Instant::now() + settings.lease;
        let Claims { runs, next_due } = match services.queue.claim(&request).await {
            Ok(claims) => claims,
            Err(error) => {
                error!(%error, "cannot claim runs; trying again in a second");
                Claims::default()
            }
        };
        let full = runs.len() == free;
        for (claim, place) in runs.into_iter().zip(places.drain(..)) {
            run::spawn(services, settings, active, claim, held_until, place);
        }
        drop(places);
        if full {
            continue;
        }
        // The pause is never zero: a clock that is set back must not cause a busy loop.
        let due = next_due.map_or(POLL, |due| due.since(services.clock.now()).clamp(SHORTEST, POLL));
        tokio::select! {
            () = stop.cancelled() => return,
            () = woken => {}
            () = tokio::time::sleep(due) => {}
        }
    }
}
