//! What is told when a run ends.

use langopen_core::clock::Timestamp;
use langopen_core::error::{Error, ErrorKind};
use langopen_core::json::RawJson;
use langopen_core::model::{CancelRequest, Run};
use langopen_core::outbox::{Delivery, DeliveryLease, RunEnd, payload};
use langopen_core::queue::Outcome;
use langopen_core::run_state::RunStatus;
use langopen_core::tenant::Tenant;

use super::run::cancel_error;

/// What a run's webhook is told of its outcome, if it has one. `run` is the row as it is while it runs; `thread_values` are asked for if the outcome has none.
pub fn of_outcome(
    tenant: &Tenant,
    run: &Run,
    outcome: &Outcome,
    thread_values: Option<&RawJson>,
    now: Timestamp,
) -> Option<Delivery> {
    let values = match outcome.rollback {
        // The values that were seen last stay, as on the thread.
        true => None,
        false => outcome.state.as_ref().map(|state| &state.values).or(outcome.values.as_ref()),
    };
    let end = RunEnd {
        status: outcome.status,
        // A running run's row changed last when it was claimed.
        started_at: Some(run.updated_at),
        ended_at: now,
        values: values.or(thread_values),
        error: outcome.error.as_ref(),
    };
    delivery(tenant, run, end)
}

/// What the webhook of a pending run is told of its cancel, if it has one.
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
    // A temporary run's values are its client's alone.
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

/// The error for a delivery that its holder no longer owns.
pub fn lease_lost(operation: &'static str, lease: DeliveryLease) -> Error {
    let message =
        format!("attempt {} of the delivery for run {} is no longer the current one", lease.attempt, lease.run_id);
    Error::new(ErrorKind::LeaseLost, operation, message)
}
