//! Claims runs: the loop wakes when the queue signals new runs, and polls every second in any case.

use std::sync::Arc;
use std::time::Duration;

use langopen_core::queue::{ClaimRequest, Claims};
use langopen_core::{Executor, Tenant};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::active::Active;
use crate::rounds::{Next, free_slots, pause_until, rounds};
use crate::{Services, WorkerSettings, run};

/// The longest pause between two claims.
const POLL: Duration = Duration::from_secs(1);

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
    let round = || async {
        let Some(slots) = free_slots(&active.slots, stop).await else { return Next::Stop };
        let request = ClaimRequest::new(settings.name.clone(), slots.len(), settings.lease)
            .with_tenants(tenants(settings, &*services.executor));
        let held_until = Instant::now() + settings.lease;
        let Claims { runs, next_due } = services.queue.claim(&request).await.unwrap_or_else(|error| {
            error!(%error, "cannot claim runs; trying again in a second");
            Claims::default()
        });
        let full = runs.len() == slots.len();
        for (claim, slot) in runs.into_iter().zip(slots) {
            run::spawn(services, settings, active, claim, held_until, slot);
        }
        if full { Next::Again } else { Next::After(pause_until(next_due, &*services.clock, POLL)) }
    };
    rounds(services.queue.wakes(), stop, round).await;
}
