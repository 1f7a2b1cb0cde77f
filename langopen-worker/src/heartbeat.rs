//! Extends leases and receives cancels.

use std::sync::Arc;

use langopen_core::Queue;
use langopen_core::queue::Heartbeat;
use metrics::counter;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::WorkerSettings;
use crate::active::Active;
use crate::metrics::LEASES_LOST;

/// Extends the leases of all active runs and passes cancels on to them, until `stop`.
pub(crate) async fn beat(
    active: Arc<Active>,
    queue: Arc<dyn Queue>,
    settings: Arc<WorkerSettings>,
    stop: CancellationToken,
) {
    let mut cancels = queue.cancels();
    let mut beats = tokio::time::interval(settings.lease / 3);
    beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = beats.tick() => extend(&active, queue.as_ref(), &settings).await,
            signal = cancels.recv() => match signal {
                Ok(signal) => active.cancel(signal.run_id, signal.request),
                // The rows hold the cancels that this receiver missed.
                Err(RecvError::Lagged(_)) => extend(&active, queue.as_ref(), &settings).await,
                Err(RecvError::Closed) => cancels = queue.cancels(),
            },
        }
    }
}

async fn extend(active: &Active, queue: &dyn Queue, settings: &WorkerSettings) {
    let handles = active.handles();
    if handles.is_empty() {
        return;
    }
    let leases: Vec<_> = handles.iter().map(|handle| handle.lease).collect();
    let held_until = Instant::now() + settings.lease;
    let answers = match queue.heartbeat(&leases, settings.lease).await {
        Ok(answers) => answers,
        Err(error) => {
            error!(%error, "cannot extend leases; trying again");
            return;
        }
    };
    for (handle, answer) in handles.iter().zip(answers) {
        if answer != Heartbeat::Lost {
            handle.held.extend(held_until);
        }
        match answer {
            Heartbeat::Held(None) => {}
            Heartbeat::Held(Some(request)) => {
                handle.cancel.send_if_modified(|held| {
                    let news = held.as_ref() != Some(&request);
                    *held = Some(request);
                    news
                });
            }
            Heartbeat::Lost => {
                counter!(LEASES_LOST).increment(1);
                handle.span.in_scope(|| warn!("the worker lost the lease of the run; it stops the attempt"));
                handle.lost.cancel();
            }
        }
    }
}
