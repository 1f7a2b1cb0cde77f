//! The set of connected runners.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use langopen_core::Tenant;
use metrics::gauge;
use parking_lot::RwLock;
use tokio::sync::{Notify, watch};

use super::app::{Announcement, App};
use super::dial::Found;
use crate::host::{Host, WebApi};
use crate::metrics::RUNNERS_UP;

/// The connected runners and their deployments.
#[derive(Default)]
pub(super) struct Shared {
    /// Notified when a runner can take work again.
    pub(super) changed: Arc<Notify>,
    /// Counts new deployments and new announcements.
    pub(super) announced: watch::Sender<u64>,
    apps: RwLock<BTreeMap<Tenant, Arc<App>>>,
    runners: RwLock<Vec<(SocketAddr, Tenant, Arc<Host>)>>,
    failures: RwLock<BTreeMap<SocketAddr, String>>,
    /// The API for the applications' own requests.
    api: RwLock<Option<Arc<dyn WebApi>>>,
}

impl Shared {
    /// The connected runners of a deployment.
    pub(super) fn hosts(&self, tenant: &Tenant) -> Vec<Arc<Host>> {
        let runners = self.runners.read();
        runners.iter().filter(|(_, of, _)| of == tenant).map(|(_, _, host)| Arc::clone(host)).collect()
    }

    /// The deployments whose runners take runs now.
    pub(super) fn able(&self) -> Vec<Tenant> {
        let runners = self.runners.read();
        let able = runners.iter().filter(|(_, _, host)| host.is_ready() && !host.is_draining());
        let mut tenants: Vec<_> = able.map(|(_, tenant, _)| tenant.clone()).collect();
        tenants.sort_unstable();
        tenants.dedup();
        tenants
    }

    /// The deployments of all runners that have ever connected.
    pub(super) fn known(&self) -> Vec<Tenant> {
        self.apps.read().keys().cloned().collect()
    }

    pub(super) fn app(&self, tenant: &Tenant) -> Option<Arc<App>> {
        self.apps.read().get(tenant).cloned()
    }

    /// Records a runner's announcement, and returns its deployment.
    pub(super) fn announce(&self, found: &Found) -> Arc<App> {
        let mut apps = self.apps.write();
        let app = apps.entry(found.tenant.clone());
        let app = app.or_insert_with(|| {
            let app = App::new(found.tenant.clone(), Arc::clone(&self.changed));
            if let Some(api) = self.api.read().clone() {
                app.owner.serve(api);
            }
            Arc::new(app)
        });
        let app = Arc::clone(app);
        drop(apps);
        let announcement = Announcement {
            app: found.app.clone(),
            webhook_headers: found.webhook_headers.clone(),
            revision: 0,
            offer: Arc::clone(&found.offer),
        };
        if app.announce(announcement) {
            self.announced.send_modify(|count| *count += 1);
        }
        app
    }

    /// From now on, `api` serves the own requests of all deployments' applications.
    pub(super) fn serve(&self, api: Arc<dyn WebApi>) {
        let apps = self.apps.write();
        apps.values().for_each(|app| app.owner.serve(Arc::clone(&api)));
        *self.api.write() = Some(api);
    }

    pub(super) fn add(&self, address: SocketAddr, tenant: Tenant, host: Arc<Host>) {
        self.failures.write().remove(&address);
        self.runners.write().push((address, tenant, host));
        gauge!(RUNNERS_UP).increment(1);
        self.changed.notify_waiters();
    }

    pub(super) fn remove(&self, host: &Arc<Host>) {
        self.runners.write().retain(|(_, _, held)| !Arc::ptr_eq(held, host));
        gauge!(RUNNERS_UP).decrement(1);
    }

    /// Records why a runner is not connected; returns whether the reason is new.
    pub(super) fn failed(&self, address: SocketAddr, why: &str) -> bool {
        self.failures.write().insert(address, why.to_owned()).as_deref() != Some(why)
    }

    pub(super) fn forget(&self, address: SocketAddr) {
        self.failures.write().remove(&address);
    }

    /// Why a runner is not connected, if one is not.
    pub(super) fn failure(&self) -> Option<String> {
        self.failures.read().iter().next().map(|(address, why)| format!("the runner at {address}: {why}"))
    }
}
