//! Watches one host: its signs of life, its fitness, and its end.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::host::{Ending, Host, Process};

/// The pause between two PINGs.
const PING_EVERY: Duration = Duration::from_millis(250);

/// The runner records the host's child processes once in so many PINGs.
const LOOK_EVERY: u32 = 4;

/// How long to wait for the exit status after the connection has closed, and for the last frames after the process has
/// ended.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The settings for watching a host.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch {
    /// A host without a sign of life for so long is given up.
    pub(super) unresponsive_after: Duration,
}

/// Why a host must be replaced.
pub(super) enum End {
    /// Its process or its connection ended, or it gave no sign of life.
    Died(String),
    /// It no longer serves its runs properly. It is still alive, and its other runs may still succeed.
    Unfit(String),
    /// The pool shuts down.
    Stopped,
}

impl Watch {
    /// Waits until the host must be replaced, or until `stop`. It is cancel safe and may be called again.
    pub(super) async fn until_end(&self, host: &Host, process: &mut Process, stop: &CancellationToken) -> End {
        let mut pings = tokio::time::interval(PING_EVERY);
        let limit = u64::try_from(self.unresponsive_after.as_millis()).unwrap_or(u64::MAX);
        let mut looks = 0;
        loop {
            tokio::select! {
                () = stop.cancelled() => return End::Stopped,
                () = host.closed() => {
                    // The exit status says more than the closed connection, and arrives at about the same time.
                    return End::Died(match tokio::time::timeout(LAST_WORDS, process.wait()).await {
                        Ok(status) => ended(status),
                        Err(_) => "the connection to the graph host closed".to_owned(),
                    });
                }
                status = process.wait() => return End::Died(ended(status)),
                _ = pings.tick() => {
                    host.ping();
                    if looks % LOOK_EVERY == 0 {
                        process.look();
                    }
                    looks += 1;
                    if host.silent_for() > limit {
                        return End::Died(format!("the graph host gave no sign of life for {:?}", self.unresponsive_after));
                    }
                    if let Some(why) = host.fitness().failure().filter(|_| !host.is_draining()) {
                        return End::Unfit(why);
                    }
                }
            }
        }
    }
}

fn ended(status: std::io::Result<std::process::ExitStatus>) -> String {
    match status {
        Ok(status) => format!("the graph host ended with {status}"),
        Err(error) => format!("the graph host cannot be watched: {error}"),
    }
}

/// Kills a host with all processes that it started, and ends its runs.
pub(super) async fn put_down(host: &Arc<Host>, process: Process, ending: Ending) {
    process.end().await;
    // Frames that the host sent before its end are still unread; they may contain the end of a run.
    if tokio::time::timeout(LAST_WORDS, host.closed()).await.is_err() {
        warn!(host = host.number, "the connection of a graph host stays open after its end; it is cut");
    }
    host.bury(ending);
}
