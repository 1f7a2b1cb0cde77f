//! One deployment on its runners.

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

/// What the runners of a deployment say of its application. It changes when a runner with another revision connects.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Announcement {
    /// What API servers and workers need to know.
    pub app: AppSettings,
    /// The headers of webhooks; empty unless the client delivers them.
    pub webhook_headers: BTreeMap<String, Secret>,
    /// Which this is of those that this process has heard from the deployment.
    pub revision: u64,
    pub(super) offer: Arc<Offer>,
}

/// One deployment, whose runners come and go.
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

    /// Takes what a runner says; whether that is new.
    pub(super) fn announce(&self, mut announcement: Announcement) -> bool {
        let mut held = self.announcement.write();
        announcement.revision = held.revision;
        // The first one is new, even if there is nothing in it.
        let new = held.revision == 0 || **held != announcement;
        if new {
            announcement.revision += 1;
            *held = Arc::new(announcement);
        }
        new
    }
}

/// The runners of one deployment, as hosts.
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
            format!("no runner of the deployment {} takes it; start one with langopen-runner", self.app.owner.tenant)
        }))
    }

    fn connect(&self, api: Arc<dyn WebApi>) {
        self.app.owner.serve(api);
    }

    async fn shut_down(&self) {
        // Runners are other processes' own.
    }
}
