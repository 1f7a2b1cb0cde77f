//! The owner of a host: its tenant, its wake-ups, and the receiver of its frames.

use std::sync::Arc;

use langopen_core::Tenant;
use parking_lot::RwLock;
use tokio::sync::Notify;

use super::{Ending, Host, WebApi};
use crate::frame::Frame;

/// The owner of a host.
#[derive(Default)]
pub(crate) struct Owner {
    /// The tenant of the application's own requests, where they belong to no run and to no request.
    pub(crate) tenant: Tenant,
    /// Rings when a host may take work that could not before.
    pub(crate) changed: Arc<Notify>,
    /// The receiver of the frames, if that is not this process itself.
    pub(crate) relay: Option<Arc<dyn Relay>>,
    api: RwLock<Option<Arc<dyn WebApi>>>,
}

/// Takes the frames of hosts for others. Called in the order of the frames.
pub(crate) trait Relay: Send + Sync + 'static {
    /// Takes one frame. What it keeps for longer, it counts with [`Host::share`].
    fn take(&self, host: &Arc<Host>, frame: Frame);

    /// The host is gone; no frame of it follows.
    fn lost(&self, host: &Arc<Host>, ending: &Ending);
}

impl Owner {
    pub(crate) fn new(tenant: Tenant, changed: Arc<Notify>) -> Self {
        Self { tenant, changed, relay: None, api: RwLock::default() }
    }

    /// The same, with another receiver of the frames.
    pub(crate) fn with_relay(mut self, relay: Arc<dyn Relay>) -> Self {
        self.relay = Some(relay);
        self
    }

    /// The API for requests of the application's own.
    pub(crate) fn api(&self) -> Option<Arc<dyn WebApi>> {
        self.api.read().clone()
    }

    /// Serves the application's own requests with `api` from now on.
    pub(crate) fn serve(&self, api: Arc<dyn WebApi>) {
        *self.api.write() = Some(api);
    }
}
