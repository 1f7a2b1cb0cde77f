//! The owner of a host: its tenant, its notifications, and the receiver of its frames.

use std::sync::Arc;

use langopen_core::Tenant;
use parking_lot::RwLock;
use tokio::sync::Notify;

use super::{Ending, Host, WebApi};
use crate::frame::Frame;

/// The owner of a host.
#[derive(Default)]
pub(crate) struct Owner {
    /// The tenant of the application's own requests that belong to no run and no request.
    pub(crate) tenant: Tenant,
    /// Notified when a host can take work again.
    pub(crate) changed: Arc<Notify>,
    /// The receiver of the frames, if this process does not handle them itself.
    pub(crate) relay: Option<Arc<dyn Relay>>,
    api: RwLock<Option<Arc<dyn WebApi>>>,
}

/// Receives the frames of hosts in order.
pub(crate) trait Relay: Send + Sync + 'static {
    /// Receives one frame. An implementor counts the bytes that it holds on to with [`Host::share`].
    fn take(&self, host: &Arc<Host>, frame: Frame);

    /// The host has ended. None of its frames follows.
    fn lost(&self, host: &Arc<Host>, ending: &Ending);
}

impl Owner {
    pub(crate) fn new(tenant: Tenant, changed: Arc<Notify>) -> Self {
        Self { tenant, changed, relay: None, api: RwLock::default() }
    }

    /// The same owner with `relay` as the receiver of the frames.
    pub(crate) fn with_relay(mut self, relay: Arc<dyn Relay>) -> Self {
        self.relay = Some(relay);
        self
    }

    /// The API for requests of the application's own.
    pub(crate) fn api(&self) -> Option<Arc<dyn WebApi>> {
        self.api.read().clone()
    }

    /// From now on, `api` serves the application's own requests.
    pub(crate) fn serve(&self, api: Arc<dyn WebApi>) {
        *self.api.write() = Some(api);
    }
}
