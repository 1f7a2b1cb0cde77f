//! A place for one host: starts it again when it dies, and watches that it lives.

use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, gauge};
use parking_lot::Mutex;
use tokio::process::Child;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::host::{Host, HostSpec, Owner, start};
use crate::metrics::{HOST_RESTARTS, HOSTS_UP};

/// How often a host is asked for a sign of life.
const PING_EVERY: Duration = Duration::from_millis(250);

/// How long a host may take to end by itself: a little longer than it gives its runs and its web app.
const END_GRACE: Duration = Duration::from_secs(10);

/// The first and the longest pause before a host is started again.
const RESTART_PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

pub(super) struct Slot {
    number: usize,
    spec: Arc<HostSpec>,
    owner: Arc<Owner>,
    unresponsive_after: Duration,
    host: Mutex<Option<Arc<Host>>>,
    failure: Mutex<Option<String>>,
}

/// Why a host is to be replaced.
enum End {
    Died(String),
    Stopped,
}

impl Slot {
    pub(super) fn new(number: usize, spec: Arc<HostSpec>, owner: Arc<Owner>, unresponsive_after: Duration) -> Self {
        Self { number, spec, owner, unresponsive_after, host: Mutex::default(), failure: Mutex::default() }
    }

    pub(super) fn fill(&self, host: Arc<Host>) {
        *self.failure.lock() = None;
        *self.host.lock() = Some(host);
        gauge!(HOSTS_UP).increment(1);
    }

    /// The host, if it is ready.
    pub(super) fn host(&self) -> Option<Arc<Host>> {
        self.host.lock().clone().filter(|host| !host.is_closed())
    }

    /// Why the last attempt to start the host failed.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.lock().clone()
    }

    /// Keeps a host in this place until `stop`.
    pub(super) async fn supervise(self: Arc<Self>, child: Child, stop: CancellationToken) {
        let mut child = child;
        loop {
            let Some(host) = self.host.lock().clone() else { return };
            let end = self.watch(&host, &mut child, &stop).await;
            *self.host.lock() = None;
            gauge!(HOSTS_UP).decrement(1);
            match end {
                End::Stopped => {
                    host.shut_down();
                    if tokio::time::timeout(END_GRACE, child.wait()).await.is_err() {
                        let _ = child.kill().await;
                    }
                    return;
                }
                End::Died(why) => {
                    warn!(
                        host = self.number,
                        why, "a graph host is gone; its runs are handed back and it is started again"
                    );
                    let _ = child.kill().await;
                }
            }
            let Some((host, started)) = self.restart(&stop).await else { return };
            counter!(HOST_RESTARTS).increment(1);
            child = started;
            self.fill(host);
            self.owner.changed.notify_waiters();
            info!(host = self.number, "a graph host is ready again");
        }
    }

    async fn watch(&self, host: &Host, child: &mut Child, stop: &CancellationToken) -> End {
        let mut pings = tokio::time::interval(PING_EVERY);
        let limit = u64::try_from(self.unresponsive_after.as_millis()).unwrap_or(u64::MAX);
        loop {
            tokio::select! {
                () = stop.cancelled() => return End::Stopped,
                () = host.closed() => {
                    // Its exit status says more than the closed connection, and comes at about the same time.
                    return End::Died(match tokio::time::timeout(Duration::from_millis(200), child.wait()).await {
                        Ok(Ok(status)) => format!("it ended with {status}"),
                        _ => "its connection closed".to_owned(),
                    });
                }
                status = child.wait() => return End::Died(match status {
                    Ok(status) => format!("it ended with {status}"),
                    Err(error) => format!("it cannot be watched: {error}"),
                }),
                _ = pings.tick() => {
                    host.ping();
                    if host.silent_for() > limit {
                        return End::Died(format!("it gave no sign of life for {:?}", self.unresponsive_after));
                    }
                }
            }
        }
    }

    async fn restart(&self, stop: &CancellationToken) -> Option<(Arc<Host>, Child)> {
        let mut pause = RESTART_PAUSE.0;
        loop {
            tokio::select! {
                () = stop.cancelled() => return None,
                () = tokio::time::sleep(pause) => {}
            }
            match start(&self.spec, self.number, Arc::clone(&self.owner)).await {
                Ok(started) => return Some(started),
                Err(why) => {
                    error!(host = self.number, error = %why, "a graph host does not start");
                    *self.failure.lock() = Some(why.to_string());
                }
            }
            pause = (pause * 2).min(RESTART_PAUSE.1);
        }
    }
}
