//! Watching one host: its signs of life, its fitness, and its end.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::host::{Ending, Host, Process};

/// How often a host is asked for a sign of life.
const PING_EVERY: Duration = Duration::from_millis(250);

/// How often the runner notes what a host has started: once in so many pings.
const LOOK_EVERY: u32 = 4;

/// How long the exit status may take after the connection has closed, and the last frames after the process has ended.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How hosts are watched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch {
    /// After how long without a sign of life a host is given up.
    pub(super) unresponsive_after: Duration,
}

/// Why a host is to be replaced.
pub(super) enum End {
    /// Its process or its connection ended, or it gave no sign of life.
    Died(String),
    /// It does not do for its runs what it should. It lives on, and other runs on it may yet end well.
    Unfit(String),
    /// The pool ends.
    Stopped,
}

impl Watch {
    /// Waits until the host is to be replaced, or until `stop`. It may be cancelled and begun again.
    pub(super) async fn until_end(&self, host: &Host, process: &mut Process, stop: &CancellationToken) -> End {
        let mut pings = tokio::time::interval(PING_EVERY);
        let limit = u64::try_from(self.unresponsive_after.as_millis()).unwrap_or(u64::MAX);
        let mut looks = 0;
        loop {
            tokio::select! {
                () = stop.cancelled() => return End::Stopped,
                () = host.closed() => {
                    // The exit status says more than the closed connection, and comes at about the same time.
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

/// Ends a host that still lives with all that it started, and tells its runs.
pub(super) async fn put_down(host: &Arc<Host>, process: Process, ending: Ending) {
    process.end().await;
    // What the host sent before its end is still to be read: the end of a run may be in it.
    if tokio::time::timeout(LAST_WORDS, host.closed()).await.is_err() {
        warn!(host = host.number, "the connection of a graph host stays open after its end; it is cut");
    }
    host.bury(ending);
}
