use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use langopen_core::clock::Timestamp;
use langopen_core::error::Result;
use langopen_core::ids::RunId;
use langopen_core::outbox::{Delivery, DeliveryLease, DueDeliveries, FailedDelivery, Outbox};
use langopen_core::queue::Outcome;
use langopen_core::tenant::Scope;
use tokio::sync::Notify;

use super::Memory;
use super::state::{DeliveryRow, State};
use crate::rules::delivery::{lease_lost, of_outcome};

impl State {
    /// Stores a delivery. It is due at once.
    pub(super) fn deliver(&mut self, delivery: Option<Delivery>) {
        if let Some(delivery) = delivery {
            let (run_id, due_at) = (delivery.run_id, delivery.created_at);
            self.deliveries.insert(run_id, DeliveryRow { delivery, due_at, claimed: false });
            self.due_deliveries.insert((due_at, run_id));
        }
    }

    /// The delivery for a running run that ends with this outcome; `None` without a webhook.
    pub(super) fn delivery_of(&self, run_id: RunId, outcome: &Outcome, now: Timestamp) -> Option<Delivery> {
        let row = self.runs.get(&run_id)?;
        let thread = self.threads.get(&row.run.thread_id)?;
        of_outcome(&row.tenant, &row.run, outcome, thread.thread.values.as_ref(), now)
    }

    /// The row of the delivery, if the lease is the current one.
    fn held(&mut self, operation: &'static str, lease: DeliveryLease) -> Result<&mut DeliveryRow> {
        let row = self.deliveries.get_mut(&lease.run_id);
        row.filter(|row| row.claimed && row.delivery.attempt == lease.attempt)
            .ok_or_else(|| lease_lost(operation, lease))
    }

    fn remove_held(&mut self, operation: &'static str, lease: DeliveryLease) -> Result<DeliveryRow> {
        let due_at = self.held(operation, lease)?.due_at;
        self.due_deliveries.remove(&(due_at, lease.run_id));
        self.deliveries.remove(&lease.run_id).ok_or_else(|| lease_lost(operation, lease))
    }

    fn claim_delivery(&mut self, now: Timestamp, lease: Duration) -> Option<Delivery> {
        let slot = *self.due_deliveries.first().filter(|slot| slot.0 <= now)?;
        self.due_deliveries.remove(&slot);
        let row = self.deliveries.get_mut(&slot.1)?;
        row.delivery.attempt += 1;
        (row.claimed, row.due_at) = (true, now.plus(lease));
        self.due_deliveries.insert((row.due_at, slot.1));
        Some(row.delivery.clone())
    }
}

#[async_trait]
impl Outbox for Memory {
    async fn claim_deliveries(&self, max: usize, lease: Duration) -> Result<DueDeliveries> {
        let now = self.now();
        let mut state = self.state();
        let deliveries = std::iter::from_fn(|| state.claim_delivery(now, lease)).take(max).collect();
        Ok(DueDeliveries { deliveries, next_due: state.due_deliveries.first().map(|slot| slot.0) })
    }

    async fn delivered(&self, lease: DeliveryLease) -> Result<()> {
        self.state().remove_held("outbox.delivered", lease).map(drop)
    }

    async fn put_off(&self, lease: DeliveryLease, until: Timestamp, _reason: &str) -> Result<()> {
        let mut state = self.state();
        let row = state.held("outbox.put_off", lease)?;
        let before = std::mem::replace(&mut row.due_at, until);
        row.claimed = false;
        state.due_deliveries.remove(&(before, lease.run_id));
        state.due_deliveries.insert((until, lease.run_id));
        Ok(())
    }

    async fn give_up(&self, lease: DeliveryLease, reason: &str) -> Result<()> {
        let failed_at = self.now();
        let mut state = self.state();
        let Delivery { tenant, run_id, attempt, .. } = state.remove_held("outbox.give_up", lease)?.delivery;
        let failed = FailedDelivery { run_id, attempts: attempt, failed_at, reason: reason.to_owned() };
        state.failed_deliveries.push((tenant, failed));
        Ok(())
    }

    async fn failed_deliveries(&self, scope: &Scope, limit: u32) -> Result<Vec<FailedDelivery>> {
        let state = self.state();
        let own = state.failed_deliveries.iter().filter(|(tenant, _)| *tenant == scope.tenant);
        let mut found: Vec<_> = own.map(|(_, failed)| failed.clone()).collect();
        found.sort_by_key(|failed| std::cmp::Reverse((failed.failed_at, failed.run_id)));
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(found)
    }

    async fn sweep_deliveries(&self, until: Timestamp) -> Result<u64> {
        let mut state = self.state();
        let before = state.failed_deliveries.len();
        state.failed_deliveries.retain(|(_, failed)| failed.failed_at > until);
        Ok(u64::try_from(before - state.failed_deliveries.len()).unwrap_or(u64::MAX))
    }

    fn delivery_wakes(&self) -> Arc<Notify> {
        self.shared.delivery_wakes.clone()
    }
}
