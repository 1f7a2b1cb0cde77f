//! Whom a host works for: who hears of it, and who takes what it sends.

use std::sync::Arc;

use langopen_core::Tenant;
use parking_lot::RwLock;
use tokio::sync::Notify;

use super::{Host, WebApi};
use crate::frame::Frame;

/// Whom a host works for.
#[derive(Default)]
pub(crate) struct Owner {
    /// Where requests of the application's own act that belong to no run and no request.
    pub(crate) tenant: Tenant,
    /// Rings when a host may take work that could not before.
    pub(crate) changed: Arc<Notify>,
    /// Who takes the frames, if not this process itself.
    pub(crate) relay: Option<Arc<dyn Relay>>,
    api: RwLock<Option<Arc<dyn WebApi>>>,
}

/// Takes the frames of hosts for others. Called in the order of the frames.
pub(crate) trait Relay: Send + Sync + 'static {
    /// Takes one frame.
    fn take(&self, host: &Arc<Host>, frame: Frame);

    /// The host is gone; no frame of it follows.
    fn lost(&self, host: &Arc<Host>);
}

impl Owner {
    pub(crate) fn new(tenant: Tenant, changed: Arc<Notify>) -> Self {
        Self { tenant, changed, relay: None, api: RwLock::default() }
    }

    /// The same, with somebody else to take the frames.
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
