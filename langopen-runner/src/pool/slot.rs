//! A slot for one host. When its host dies or is unfit, the slot starts another one.

use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, gauge};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::watch::{End, Watch, put_down};
use crate::host::{Ending, Guilt, Host, HostSpec, Owner, Process, start};
use crate::metrics::{HOST_RESTARTS, HOSTS_UP};

/// How long a host may take to shut down. It is slightly longer than the host gives its runs and its web app.
const END_GRACE: Duration = Duration::from_secs(10);

/// How long an unfit host may continue its runs.
const RETIRE_GRACE: Duration = Duration::from_secs(60);

/// How often the pool checks whether an unfit host has work left.
const RETIRE_LOOK: Duration = Duration::from_millis(250);

/// How long an unfit host may leave pings unanswered, in milliseconds. Its event loop executes none of its other runs.
const RETIRE_SILENCE: u64 = 5_000;

/// The first and the longest pause before a restart of a host.
const RESTART_PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

pub(super) struct Slot {
    number: usize,
    spec: Arc<HostSpec>,
    owner: Arc<Owner>,
    watch: Watch,
    host: Mutex<Option<Arc<Host>>>,
    failure: Mutex<Option<String>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Slot {
    pub(super) fn new(
        number: usize,
        spec: Arc<HostSpec>,
        owner: Arc<Owner>,
        watch: Watch,
        stop: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        Self { number, spec, owner, watch, host: Mutex::default(), failure: Mutex::default(), stop, tasks }
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

    /// Why the last start of the host failed.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.lock().clone()
    }

    /// Keeps a host running in this slot until the pool ends.
    pub(super) async fn supervise(self: Arc<Self>, process: Process) {
        let mut process = process;
        loop {
            let Some(host) = self.host.lock().clone() else { return };
            let end = self.watch.until_end(&host, &mut process, &self.stop).await;
            *self.host.lock() = None;
            gauge!(HOSTS_UP).decrement(1);
            match end {
                End::Stopped => return self.end(&host, process).await,
                End::Died(why) => {
                    warn!(
                        host = self.number,
                        reason = why,
                        "a graph host died; its runs are handed back, and it restarts"
                    );
                    put_down(&host, process, Ending::new(Guilt::Unknown, why)).await;
                }
                End::Unfit(why) => {
                    warn!(host = self.number, reason = why, "a graph host is unfit; starting a replacement");
                    host.retire();
                    self.tasks.spawn(Arc::clone(&self).see_off(host, process, why));
                }
            }
            let Some((host, started)) = self.restart().await else { return };
            counter!(HOST_RESTARTS).increment(1);
            process = started;
            self.fill(host);
            self.owner.changed.notify_waiters();
            info!(host = self.number, "a graph host is ready again");
        }
    }

    /// Lets an unfit host continue its runs for a while, then ends it. The remaining runs are not to blame.
    async fn see_off(self: Arc<Self>, host: Arc<Host>, mut process: Process, why: String) {
        let deadline = tokio::time::Instant::now() + RETIRE_GRACE;
        while host.load() > 0 && tokio::time::Instant::now() < deadline && host.silent_for() < RETIRE_SILENCE {
            tokio::select! {
                end = self.watch.until_end(&host, &mut process, &self.stop) => match end {
                    End::Stopped => return self.end(&host, process).await,
                    End::Died(why) | End::Unfit(why) => {
                        // A host that requested its replacement may end at any time.
                        let guilt = if host.fitness().asked_to_be_replaced() { Guilt::Nobody } else { Guilt::Unknown };
                        return put_down(&host, process, Ending::new(guilt, why)).await;
                    }
                },
                () = tokio::time::sleep(RETIRE_LOOK) => {}
            }
        }
        info!(host = self.number, runs = host.load(), "ending an unfit graph host");
        put_down(&host, process, Ending::new(Guilt::Nobody, format!("the graph host was replaced: {why}"))).await;
    }

    /// Asks a host to shut down, and kills it if it takes too long.
    async fn end(&self, host: &Arc<Host>, mut process: Process) {
        process.look();
        host.shut_down();
        if tokio::time::timeout(END_GRACE, process.wait()).await.is_err() {
            warn!(host = self.number, "a graph host does not shut down in time; killing it");
        }
        put_down(host, process, Ending::new(Guilt::Nobody, "the server stops")).await;
    }

    async fn restart(&self) -> Option<(Arc<Host>, Process)> {
        let mut pause = RESTART_PAUSE.0;
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return None,
                () = tokio::time::sleep(pause) => {}
            }
            match start(&self.spec, self.number, Arc::clone(&self.owner)).await {
                Ok(started) => return Some(started),
                Err(why) => {
                    error!(host = self.number, error = %why, "a graph host did not start; trying again");
                    *self.failure.lock() = Some(why.to_string());
                }
            }
            pause = (pause * 2).min(RESTART_PAUSE.1);
        }
    }
}
