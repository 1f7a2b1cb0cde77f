//! Graph hosts that are processes of this machine.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::slot::Slot;
use super::solitary::{Alone, Solitary};
use super::source::Source;
use super::watch::Watch;
use super::{Need, PoolSettings};
use crate::host::{Host, HostError, HostSpec, Offer, Owner, Status, WebApi};

/// Graph hosts that are processes of this machine.
pub(crate) struct LocalHosts {
    slots: Vec<Arc<Slot>>,
    solitary: Arc<Solitary>,
    /// The number of kinds of hosts.
    kinds: usize,
    offer: Arc<Offer>,
    owner: Arc<Owner>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl LocalHosts {
    /// Starts the hosts and waits until all have loaded the application's graphs.
    pub(crate) async fn start(settings: PoolSettings, owner: Owner) -> Result<Self, HostError> {
        let specs: Vec<_> = settings.host_specs()?.into_iter().map(Arc::new).collect();
        let kinds = specs.len();
        let (owner, stop, tasks) = (Arc::new(owner), CancellationToken::new(), TaskTracker::new());
        // A host that executes no code of the application has almost nothing to do, so one suffices.
        let count = |spec: &HostSpec| if spec.init.has_no_code() { 1 } else { settings.hosts.max(1) };
        let wanted = specs.iter().flat_map(|spec| (0..count(spec)).map(move |_| spec)).enumerate();
        let starts = wanted.map(|(number, spec)| {
            let (spec, owner) = (Arc::clone(spec), Arc::clone(&owner));
            async move { crate::host::start(&spec, number, owner).await.map(|started| (number, spec, started)) }
        });
        let started = futures::future::try_join_all(starts).await?;
        // All hosts of a kind offer the same.
        let first = |spec| started.iter().find(move |(_, own, _)| Arc::ptr_eq(own, spec));
        let offers = specs.iter().filter_map(first).map(|(_, _, (host, _))| Arc::clone(host.offer()));
        let offer = Arc::new(Offer::join(offers));
        for error in offer.ui.values().filter_map(|bundle| bundle.error.as_ref()) {
            error!(error, "a user interface cannot be bundled; requests for it are answered with the reason");
        }
        let mut slots = Vec::with_capacity(started.len());
        let watch = Watch { unresponsive_after: settings.unresponsive_after };
        for (number, spec, (host, process)) in started {
            let slot = Arc::new(Slot::new(number, spec, Arc::clone(&owner), watch, stop.clone(), tasks.clone()));
            slot.fill(host);
            tasks.spawn(Arc::clone(&slot).supervise(process));
            slots.push(slot);
        }
        let solitary = Solitary::new(&specs, &owner, watch, &stop, &tasks);
        tasks.close();
        info!(hosts = slots.len(), graphs = offer.graphs.len(), "graph hosts are ready");
        Ok(Self { slots, solitary, kinds, offer, owner, stop, tasks })
    }

    /// A host for one run alone; `None` if none can start.
    pub(crate) async fn for_a_run_alone(&self, need: &Need<'_>) -> Option<Alone> {
        match self.solitary.take(need).await {
            Ok(alone) => alone,
            Err(error) => {
                warn!(%error, "no graph host can be started for a run alone; the run executes beside others");
                None
            }
        }
    }

    /// Whether all hosts are of one kind.
    pub(crate) fn are_alike(&self) -> bool {
        self.kinds < 2
    }

    /// The status of all hosts together.
    pub(crate) fn status(&self, draining: bool) -> Status {
        let hosts = self.hosts();
        let responsive = hosts.iter().filter(|host| !host.is_blocked()).count();
        let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
        Status { hosts: number(hosts.len()), responsive: number(responsive), draining }
    }
}

#[async_trait]
impl Source for LocalHosts {
    fn hosts(&self) -> Vec<Arc<Host>> {
        self.slots.iter().filter_map(|slot| slot.host()).collect()
    }

    fn offer(&self) -> Arc<Offer> {
        Arc::clone(&self.offer)
    }

    fn changed(&self) -> &Notify {
        &self.owner.changed
    }

    fn failure(&self) -> Option<String> {
        self.slots.iter().find_map(|slot| slot.failure())
    }

    async fn alone(&self, need: &Need<'_>) -> Option<Alone> {
        self.for_a_run_alone(need).await
    }

    fn connect(&self, api: Arc<dyn WebApi>) {
        self.owner.serve(api);
    }

    async fn shut_down(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}
