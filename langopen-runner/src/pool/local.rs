//! Hosts that are processes of this machine.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

use super::PoolSettings;
use super::slot::Slot;
use super::source::Source;
use crate::host::{Host, HostError, HostSpec, Offer, Owner, Status, WebApi};

/// Hosts that are processes of this machine.
pub(crate) struct LocalHosts {
    slots: Vec<Arc<Slot>>,
    /// How many kinds of hosts there are.
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
        // Who has no code of the application to execute has next to nothing to do.
        let count = |spec: &HostSpec| if spec.init.has_no_code() { 1 } else { settings.hosts.max(1) };
        let places = specs.iter().flat_map(|spec| (0..count(spec)).map(move |_| spec)).enumerate();
        let starts = places.map(|(number, spec)| {
            let (spec, owner) = (Arc::clone(spec), Arc::clone(&owner));
            async move { crate::host::start(&spec, number, owner).await.map(|started| (number, spec, started)) }
        });
        let started = futures::future::try_join_all(starts).await?;
        // All hosts of a kind offer the same.
        let first = |spec| started.iter().find(move |(_, own, _)| Arc::ptr_eq(own, spec));
        let offers = specs.iter().filter_map(first).map(|(_, _, (host, _))| Arc::clone(host.offer()));
        let offer = Arc::new(Offer::join(offers));
        for error in offer.ui.values().filter_map(|bundle| bundle.error.as_ref()) {
            error!(error, "a user interface cannot be bundled; who asks for it is told");
        }
        let mut slots = Vec::with_capacity(started.len());
        for (number, spec, (host, child)) in started {
            let slot = Arc::new(Slot::new(number, spec, Arc::clone(&owner), settings.unresponsive_after));
            slot.fill(host);
            tasks.spawn(Arc::clone(&slot).supervise(child, stop.clone()));
            slots.push(slot);
        }
        tasks.close();
        info!(hosts = slots.len(), graphs = offer.graphs.len(), "graph hosts are ready");
        Ok(Self { slots, kinds, offer, owner, stop, tasks })
    }

    /// Whether each can do what any other can.
    pub(crate) fn are_alike(&self) -> bool {
        self.kinds < 2
    }

    /// How they are together.
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

    fn connect(&self, api: Arc<dyn WebApi>) {
        self.owner.serve(api);
    }

    async fn shut_down(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}
