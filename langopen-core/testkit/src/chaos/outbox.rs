use std::sync::Arc;
use std::time::Duration;

use langopen_core::clock::Timestamp;
use langopen_core::outbox::{DeliveryLease, DueDeliveries, FailedDelivery, Outbox};
use langopen_core::tenant::Scope;
use tokio::sync::Notify;

use super::calls::chaotic;
use super::hints::wakes;

chaotic!(Outbox {
    "outbox.claim" claim_deliveries(max: usize, lease: Duration) -> DueDeliveries;
    "outbox.delivered" delivered(lease: DeliveryLease) -> ();
    "outbox.put_off" put_off(lease: DeliveryLease, until: Timestamp, reason: &str) -> ();
    "outbox.give_up" give_up(lease: DeliveryLease, reason: &str) -> ();
    "outbox.failed" failed_deliveries(scope: &Scope, limit: u32) -> Vec<FailedDelivery>;
    "outbox.sweep" sweep_deliveries(until: Timestamp) -> u64;
    => {
        fn delivery_wakes(&self) -> Arc<Notify> {
            wakes(&self.chaos, "outbox.wakes", &self.delivery_wakes, self.inner.delivery_wakes())
        }
    }
});
