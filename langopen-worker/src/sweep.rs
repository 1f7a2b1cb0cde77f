//! Removes expired event logs, threads and store items.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use langopen_core::run_service::RunService;
use langopen_core::{Clock, Result};
use metrics::counter;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use crate::clock_watch::ClockWatch;
use crate::metrics::{ITEMS_SWEPT, LOGS_SWEPT, SWEEPS, THREADS_SWEPT};
use crate::{Services, WorkerSettings};

/// The pause between two sweeps of ended event logs.
const LOGS_INTERVAL: Duration = Duration::from_secs(30);

/// The time without sweeps after the clock was set forward.
const PATIENCE: Duration = Duration::from_secs(3600);

/// The most threads that one step removes: a long step would delay other writers.
const THREADS_AT_ONCE: u32 = 100;

/// Sweeps ended event logs, expired threads and expired store items until `stop`.
pub(crate) async fn sweep(services: Services, settings: WorkerSettings, stop: CancellationToken) {
    let Services { events, storage, clock, runs, .. } = services;
    let logs = repeat(&*clock, "ended event logs", LOGS_SWEPT, LOGS_INTERVAL, || events.sweep());
    let limit = settings.thread_sweep_limit;
    let threads = repeat(&*clock, "threads", THREADS_SWEPT, settings.thread_sweep_interval, || {
        sweep_threads(&runs, limit).boxed()
    });
    let items = repeat(&*clock, "store items", ITEMS_SWEPT, settings.item_sweep_interval, || storage.sweep_items());
    tokio::select! {
        () = stop.cancelled() => {}
        _ = async { tokio::join!(logs, threads, items) } => {}
    }
}

async fn repeat<'a>(
    clock: &dyn Clock,
    what: &'static str,
    swept: &'static str,
    interval: Duration,
    step: impl Fn() -> BoxFuture<'a, Result<u64>>,
) {
    let mut watch = ClockWatch::new(what, PATIENCE, clock);
    loop {
        tokio::time::sleep(interval).await;
        if !watch.trusts(clock) {
            continue;
        }
        match step().await {
            Ok(removed) => {
                counter!(SWEEPS, "outcome" => "done").increment(1);
                counter!(swept).increment(removed);
                debug!(what, removed, "swept");
            }
            Err(error) => {
                counter!(SWEEPS, "outcome" => "failed").increment(1);
                error!(what, %error, "cannot remove expired rows; trying again");
            }
        }
    }
}

async fn sweep_threads(runs: &RunService, limit: u32) -> Result<u64> {
    let mut swept = 0;
    while swept < u64::from(limit) {
        let left = u32::try_from(u64::from(limit) - swept).unwrap_or(THREADS_AT_ONCE);
        let done = runs.sweep_threads(left.min(THREADS_AT_ONCE)).await?;
        let number = (done.deleted.len() + done.cut.len()) as u64;
        if number == 0 {
            break;
        }
        swept += number;
    }
    Ok(swept)
}
