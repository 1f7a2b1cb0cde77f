//! The webhook delivery that the end of a run creates.

use langopen_core::clock::Timestamp;
use langopen_core::error::{Error, ErrorKind};
use langopen_core::json::RawJson;
use langopen_core::model::{CancelRequest, Run};
use langopen_core::outbox::{Delivery, DeliveryLease, RunEnd, payload};
use langopen_core::queue::Outcome;
use langopen_core::run_state::RunStatus;
use langopen_core::tenant::Tenant;

use super::run::cancel_error;

/// The delivery for a run that ends with an outcome; `None` for a run without a webhook. `run` is the row while the run
/// is still running. `thread_values` are used if the outcome has no values.
pub fn of_outcome(
    tenant: &Tenant,
    run: &Run,
    outcome: &Outcome,
    thread_values: Option<&RawJson>,
    now: Timestamp,
) -> Option<Delivery> {
    let values = match outcome.rollback {
        // After a rollback the thread keeps its previous values, so the webhook reports those.
        true => None,
        false => outcome.state.as_ref().map(|state| &state.values).or(outcome.values.as_ref()),
    };
    let end = RunEnd {
        status: outcome.status,
        // The last change of a running run's row is its claim.
        started_at: Some(run.updated_at),
        ended_at: now,
        values: values.or(thread_values),
        error: outcome.error.as_ref(),
    };
    delivery(tenant, run, end)
}

/// The delivery for a pending run that is cancelled; `None` for a run without a webhook.
pub fn of_cancel(
    tenant: &Tenant,
    run: &Run,
    request: &CancelRequest,
    thread_values: Option<&RawJson>,
    now: Timestamp,
) -> Option<Delivery> {
    let error = cancel_error(request);
    let end = RunEnd {
        status: RunStatus::Interrupted,
        started_at: None,
        ended_at: now,
        values: thread_values,
        error: Some(&error),
    };
    delivery(tenant, run, end)
}

fn delivery(tenant: &Tenant, run: &Run, end: RunEnd<'_>) -> Option<Delivery> {
    let url = run.webhook.clone()?;
    // Only the client of a temporary run may see its values.
    let end = RunEnd { values: end.values.filter(|_| !run.temporary), ..end };
    Some(Delivery {
        tenant: tenant.clone(),
        run_id: run.run_id,
        url,
        payload: payload(run, &end),
        attempt: 0,
        created_at: end.ended_at,
    })
}

/// The error when the lease of a delivery is not the current one.
pub fn lease_lost(operation: &'static str, lease: DeliveryLease) -> Error {
    let message =
        format!("attempt {} of the delivery for run {} is no longer the current one", lease.attempt, lease.run_id);
    Error::new(ErrorKind::LeaseLost, operation, message)
}
