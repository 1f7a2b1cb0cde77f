//! Hosts that are processes of this machine.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use super::PoolSettings;
use super::slot::Slot;
use super::source::Source;
use crate::host::{Host, HostError, HostSpec, Offer, Owner, Status, WebApi};

/// Hosts that are processes of this machine.
pub(crate) struct LocalHosts {
    slots: Vec<Arc<Slot>>,
    offer: Arc<Offer>,
    owner: Arc<Owner>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl LocalHosts {
    /// Starts the hosts and waits until all have loaded the application's graphs.
    pub(crate) async fn start(settings: PoolSettings, owner: Owner) -> Result<Self, HostError> {
        let spec = Arc::new(settings.host_spec()?);
        let count = settings.hosts.max(1);
        let (owner, stop, tasks) = (Arc::new(owner), CancellationToken::new(), TaskTracker::new());
        let starts = (0..count).map(|number| {
            let (spec, owner): (Arc<HostSpec>, _) = (Arc::clone(&spec), Arc::clone(&owner));
            async move { crate::host::start(&spec, number, owner).await.map(|started| (number, started)) }
        });
        let started = futures::future::try_join_all(starts).await?;
        let offer = started.first().map(|(_, (host, _))| Arc::clone(host.offer())).unwrap_or_default();
        let mut slots = Vec::with_capacity(count);
        for (number, (host, child)) in started {
            let slot = Arc::new(Slot::new(number, Arc::clone(&spec), Arc::clone(&owner), settings.unresponsive_after));
            slot.fill(host);
            tasks.spawn(Arc::clone(&slot).supervise(child, stop.clone()));
            slots.push(slot);
        }
        tasks.close();
        info!(hosts = count, graphs = offer.graphs.len(), "graph hosts are ready");
        Ok(Self { slots, offer, owner, stop, tasks })
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
