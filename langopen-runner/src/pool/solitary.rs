//! Hosts that execute one run at a time. Runs that may have ended a host before execute here, so no other run dies with
//! them.
//!
//! Such a host starts when a run needs it, and ends after an idle time. It loads the application's graphs and
//! embedding, but neither its login nor its web app: only the ordinary hosts answer questions and requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::Need;
use super::watch::{End, Watch, put_down};
use crate::host::{Ending, Guilt, Host, HostError, HostSpec, Owner, Process, start};

/// How many such runs may execute concurrently, and how many of their hosts may start concurrently.
const AT_ONCE: usize = 8;
const STARTS_AT_ONCE: usize = 2;

/// How long an idle host waits for the next run.
const IDLE: Duration = Duration::from_secs(60);

/// The first number of these hosts in logs.
const FIRST_NUMBER: usize = 1000;

/// Hosts that execute one run at a time.
pub(super) struct Solitary {
    specs: Vec<Arc<HostSpec>>,
    owner: Arc<Owner>,
    watch: Watch,
    permits: Arc<Semaphore>,
    starts: Semaphore,
    started: AtomicUsize,
    idle: Mutex<Vec<(Arc<Host>, Instant)>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// A host for one run alone. Dropping it gives the host back.
pub(crate) struct Alone {
    pub(crate) host: Arc<Host>,
    solitary: Arc<Solitary>,
    _permit: OwnedSemaphorePermit,
}

impl Solitary {
    /// Prepares hosts for the kinds that have graphs. It starts none of them.
    pub(super) fn new(
        specs: &[Arc<HostSpec>],
        owner: &Arc<Owner>,
        watch: Watch,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Arc<Self> {
        let with_graphs = specs.iter().filter(|spec| !spec.init.graphs.is_empty());
        Arc::new(Self {
            specs: with_graphs.map(|spec| Arc::new(spec.for_runs_alone())).collect(),
            owner: Arc::clone(owner),
            watch,
            permits: Arc::new(Semaphore::new(AT_ONCE)),
            starts: Semaphore::new(STARTS_AT_ONCE),
            started: AtomicUsize::new(FIRST_NUMBER),
            idle: Mutex::default(),
            stop: stop.clone(),
            tasks: tasks.clone(),
        })
    }

    /// A host for one run; waits until one is free. `None` if the application has no graph that meets the need.
    ///
    /// # Errors
    /// The host's failure to start. The ordinary hosts may work nevertheless: an application may need a port or a lock
    /// that only one process can hold.
    pub(super) async fn take(self: &Arc<Self>, need: &Need<'_>) -> Result<Option<Alone>, HostError> {
        let Some(spec) = self.specs.iter().find(|spec| need.is_met_by_graphs(&spec.init.graphs)) else {
            return Ok(None);
        };
        // Both semaphores stay open.
        let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else { return Ok(None) };
        if let Some(host) = self.take_idle(need) {
            return Ok(Some(self.alone(host, permit)));
        }
        let _start = self.starts.acquire().await;
        // A host may have become idle while others started.
        if let Some(host) = self.take_idle(need) {
            return Ok(Some(self.alone(host, permit)));
        }
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let (host, process) = start(spec, number, Arc::clone(&self.owner)).await?;
        info!(host = number, "a graph host is ready for runs that may have ended another one");
        self.tasks.spawn(Arc::clone(self).supervise(Arc::clone(&host), process));
        Ok(Some(self.alone(host, permit)))
    }

    fn alone(self: &Arc<Self>, host: Arc<Host>, permit: OwnedSemaphorePermit) -> Alone {
        Alone { host, solitary: Arc::clone(self), _permit: permit }
    }

    fn take_idle(&self, need: &Need<'_>) -> Option<Arc<Host>> {
        let mut idle = self.idle.lock();
        let able = |host: &Host| host.is_ready() && !host.is_draining() && need.is_met_by(host.offer());
        let found = idle.iter().rposition(|(host, _)| able(host))?;
        Some(idle.remove(found).0)
    }

    /// Gives a host back after its run. A host on which code still executes is not reused.
    fn give_back(&self, host: &Arc<Host>) {
        if host.is_closed() || host.load() > 0 || host.fitness().has_left_behind() {
            return host.retire();
        }
        self.idle.lock().push((Arc::clone(host), Instant::now()));
    }

    /// Ends a host that was idle for too long.
    fn expire(&self, host: &Arc<Host>) {
        let mut idle = self.idle.lock();
        let expired = |(other, since): &(Arc<Host>, Instant)| Arc::ptr_eq(other, host) && since.elapsed() > IDLE;
        if let Some(found) = idle.iter().position(expired) {
            idle.remove(found);
            host.retire();
        }
    }

    async fn supervise(self: Arc<Self>, host: Arc<Host>, mut process: Process) {
        let ending = loop {
            let end = tokio::select! {
                end = self.watch.until_end(&host, &mut process, &self.stop) => end,
                () = tokio::time::sleep(Duration::from_secs(1)) => {
                    self.expire(&host);
                    if host.is_draining() && host.load() == 0 {
                        break Ending::new(Guilt::Nobody, "the graph host is not needed any more");
                    }
                    continue;
                }
            };
            break match end {
                End::Stopped => Ending::new(Guilt::Nobody, "the server stops"),
                End::Unfit(why) | End::Died(why) => {
                    warn!(host = host.number, reason = why, "a graph host for a single run ended");
                    Ending::new(Guilt::Unknown, why)
                }
            };
        };
        host.retire();
        self.idle.lock().retain(|(other, _)| !Arc::ptr_eq(other, &host));
        put_down(&host, process, ending).await;
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.solitary.give_back(&self.host);
    }
}
