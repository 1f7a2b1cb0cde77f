use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use langopen_backends::rules::delivery::lease_lost;
use langopen_core::outbox::{Delivery, DeliveryLease, DueDeliveries, FailedDelivery, Outbox};
use langopen_core::{Result, Scope, Timestamp};
use tokio::sync::Notify;

use crate::MyBackend;
use crate::state::State;

pub(crate) struct DeliveryRow {
    delivery: Delivery,
    /// A claimed delivery is due again when its lease expires.
    due_at: Timestamp,
    is_claimed: bool,
}

impl State {
    /// Stores the delivery of a run that ends, if it has one. The caller ends the run in the same step.
    pub(crate) fn deliver(&mut self, delivery: Option<Delivery>) {
        if let Some(delivery) = delivery {
            let due_at = delivery.created_at;
            self.deliveries.insert(delivery.run_id, DeliveryRow { delivery, due_at, is_claimed: false });
            self.hints.deliveries.notify_one();
        }
    }

    /// The row of a delivery whose lease is the current one.
    fn held(&mut self, operation: &'static str, lease: DeliveryLease) -> Result<&mut DeliveryRow> {
        let row = self.deliveries.get_mut(&lease.run_id);
        let row = row.filter(|row| row.is_claimed && row.delivery.attempt == lease.attempt);
        row.ok_or_else(|| lease_lost(operation, lease))
    }
}

#[async_trait]
impl Outbox for MyBackend {
    async fn claim_deliveries(&self, max: usize, lease: Duration) -> Result<DueDeliveries> {
        let (mut state, now) = (self.state(), self.clock.now());
        let mut due: Vec<_> = state.deliveries.values_mut().filter(|row| row.due_at <= now).collect();
        due.sort_by_key(|row| (row.due_at, row.delivery.run_id));
        let claimed = due.into_iter().take(max).map(|row| {
            row.delivery.attempt += 1;
            (row.due_at, row.is_claimed) = (now.plus(lease), true);
            row.delivery.clone()
        });
        let deliveries = claimed.collect();
        Ok(DueDeliveries { deliveries, next_due: state.deliveries.values().map(|row| row.due_at).min() })
    }

    async fn delivered(&self, lease: DeliveryLease) -> Result<()> {
        let mut state = self.state();
        state.held("outbox.delivered", lease)?;
        state.deliveries.remove(&lease.run_id);
        Ok(())
    }

    /// The dispatcher logs the reason. This backend does not store it.
    async fn put_off(&self, lease: DeliveryLease, until: Timestamp, _reason: &str) -> Result<()> {
        let mut state = self.state();
        let row = state.held("outbox.put_off", lease)?;
        (row.due_at, row.is_claimed) = (until, false);
        Ok(())
    }

    async fn give_up(&self, lease: DeliveryLease, reason: &str) -> Result<()> {
        let mut state = self.state();
        let tenant = state.held("outbox.give_up", lease)?.delivery.tenant.clone();
        let (run_id, attempts, failed_at) = (lease.run_id, lease.attempt, self.clock.now());
        state.deliveries.remove(&run_id);
        let failed = FailedDelivery { run_id, attempts, failed_at, reason: reason.to_owned() };
        state.failed_deliveries.push((tenant, failed));
        Ok(())
    }

    async fn failed_deliveries(&self, scope: &Scope, limit: u32) -> Result<Vec<FailedDelivery>> {
        let state = self.state();
        let own = state.failed_deliveries.iter().filter(|(tenant, _)| *tenant == scope.tenant);
        let mut failed: Vec<_> = own.map(|(_, failed)| failed.clone()).collect();
        failed.sort_by_key(|failed| Reverse((failed.failed_at, failed.run_id)));
        failed.truncate(limit as usize);
        Ok(failed)
    }

    async fn sweep_deliveries(&self, until: Timestamp) -> Result<u64> {
        let mut state = self.state();
        let before = state.failed_deliveries.len();
        state.failed_deliveries.retain(|(_, failed)| failed.failed_at > until);
        Ok((before - state.failed_deliveries.len()) as u64)
    }

    fn delivery_wakes(&self) -> Arc<Notify> {
        self.state().hints.deliveries.clone()
    }
}
