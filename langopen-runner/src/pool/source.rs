//! Where hosts come from: processes of this machine, or runners.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use langopen_core::{Error, Result};
use tokio::sync::Notify;

use super::solitary::Alone;
use super::{Need, Work};
use crate::host::{Host, Offer, WebApi};

/// How long work waits for a host to come back before it is refused.
const HOST_WAIT: Duration = Duration::from_secs(30);

/// Where the hosts of one application come from.
#[async_trait]
pub(crate) trait Source: Send + Sync + 'static {
    /// The hosts that are connected.
    fn hosts(&self) -> Vec<Arc<Host>>;

    /// What the application offers, as the host that loaded it last says; nothing before one has.
    fn offer(&self) -> Arc<Offer>;

    /// A host that one run has for itself. `None` where there is none, or where the source decides that later.
    async fn alone(&self, _need: &Need<'_>) -> Option<Alone> {
        None
    }

    /// Rings when a host may take work that could not before.
    fn changed(&self) -> &Notify;

    /// Why there is no host, if that is known.
    fn failure(&self) -> Option<String>;

    /// Serves the requests that the application itself makes of the API.
    fn connect(&self, api: Arc<dyn WebApi>);

    /// Ends the hosts that are this process's own.
    async fn shut_down(&self);
}

/// The host for the work: of those that have what it needs, one that is not blocked and has the least in flight.
pub(crate) fn best(hosts: Vec<Arc<Host>>, work: Work, need: &Need<'_>) -> Option<Arc<Host>> {
    let able = |host: &Arc<Host>| host.is_ready() && (work == Work::Question || !host.is_draining());
    let fit = hosts.into_iter().filter(|host| able(host) && need.is_met_by(host.offer()));
    fit.min_by_key(|host| (host.is_draining(), host.is_blocked(), host.load()))
}

/// Waits for a host, for 30 s at most.
pub(crate) async fn choose(source: &dyn Source, work: Work, need: Need<'_>) -> Result<Arc<Host>> {
    let deadline = tokio::time::Instant::now() + HOST_WAIT;
    loop {
        let changed = source.changed().notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        // Asked again each time: what the application offers may have changed.
        let need = need.as_offered(&source.offer());
        if let Some(host) = best(source.hosts(), work, &need) {
            return Ok(host);
        }
        if tokio::time::timeout_at(deadline, changed).await.is_err() {
            let why = source.failure().unwrap_or_default();
            return Err(Error::unavailable("pool.choose", format!("no graph host is ready; {why}")));
        }
    }
}
