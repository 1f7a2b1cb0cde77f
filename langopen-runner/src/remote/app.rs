//! One deployment and its runners.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use langopen_core::Tenant;
use parking_lot::RwLock;
use tokio::sync::Notify;

use super::set::Shared;
use crate::config::{AppSettings, Secret};
use crate::host::{Host, Offer, Owner, WebApi};
use crate::pool::Source;

/// The application of a deployment, as its runners announce it. It changes when a runner with another revision
/// connects.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Announcement {
    /// The settings that API servers and workers need.
    pub app: AppSettings,
    /// The headers of webhooks; empty unless this client delivers webhooks.
    pub webhook_headers: BTreeMap<String, Secret>,
    /// The number of this announcement among those that this process received from the deployment.
    pub revision: u64,
    pub(super) offer: Arc<Offer>,
}

/// One deployment, whose runners may connect and disconnect.
pub(super) struct App {
    pub(super) owner: Arc<Owner>,
    announcement: RwLock<Arc<Announcement>>,
}

impl App {
    pub(super) fn new(tenant: Tenant, changed: Arc<Notify>) -> Self {
        Self { owner: Arc::new(Owner::new(tenant, changed)), announcement: RwLock::default() }
    }

    pub(super) fn announcement(&self) -> Arc<Announcement> {
        Arc::clone(&self.announcement.read())
    }

    /// Records a runner's announcement; returns whether it is new.
    pub(super) fn announce(&self, mut announcement: Announcement) -> bool {
        let mut held = self.announcement.write();
        announcement.revision = held.revision;
        // The first announcement is always new, even an empty one.
        let new = held.revision == 0 || **held != announcement;
        if new {
            announcement.revision += 1;
            *held = Arc::new(announcement);
        }
        new
    }
}

/// The runners of one deployment as a source of hosts.
pub(super) struct RemoteHosts {
    pub(super) app: Arc<App>,
    pub(super) shared: Arc<Shared>,
}

#[async_trait]
impl Source for RemoteHosts {
    fn hosts(&self) -> Vec<Arc<Host>> {
        self.shared.hosts(&self.app.owner.tenant)
    }

    fn offer(&self) -> Arc<Offer> {
        Arc::clone(&self.app.announcement().offer)
    }

    fn changed(&self) -> &Notify {
        &self.shared.changed
    }

    fn failure(&self) -> Option<String> {
        Some(self.shared.failure().unwrap_or_else(|| {
            format!(
                "no runner of the deployment {} is connected; start one with langopen-runner",
                self.app.owner.tenant
            )
        }))
    }

    fn connect(&self, api: Arc<dyn WebApi>) {
        self.app.owner.serve(api);
    }

    async fn shut_down(&self) {
        // Runners belong to other processes, so this one does not end them.
    }
}
