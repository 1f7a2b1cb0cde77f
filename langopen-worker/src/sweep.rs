//! Removing what has served its time.

use std::sync::Arc;
use std::time::Duration;

use langopen_core::EventLog;
use metrics::counter;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use crate::metrics::{LOGS_SWEPT, SWEEPS};

/// How often to look.
const EVERY: Duration = Duration::from_secs(30);

/// Sweeps ended event logs until `stop`.
pub(crate) async fn sweep(events: Arc<dyn EventLog>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        match events.sweep().await {
            Ok(removed) => {
                counter!(SWEEPS, "outcome" => "done").increment(1);
                counter!(LOGS_SWEPT).increment(removed);
                debug!(removed, "swept ended event logs");
            }
            Err(error) => {
                counter!(SWEEPS, "outcome" => "failed").increment(1);
                error!(%error, "event logs cannot be swept; trying again");
            }
        }
    }
}
