//! Sources of hosts: processes of this machine, or runners.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use langopen_core::{Error, Result};
use tokio::sync::Notify;

use super::solitary::Alone;
use super::{Need, Work};
use crate::host::{Host, Offer, WebApi};

/// How long work waits for a host before it is refused.
const HOST_WAIT: Duration = Duration::from_secs(30);

/// The source of one application's hosts.
#[async_trait]
pub(crate) trait Source: Send + Sync + 'static {
    /// The connected hosts.
    fn hosts(&self) -> Vec<Arc<Host>>;

    /// The offer of the application, from the host that loaded it last; empty before the first one is ready.
    fn offer(&self) -> Arc<Offer>;

    /// A host for one run alone; `None` if none can start, or if a runner will choose it.
    async fn alone(&self, _need: &Need<'_>) -> Option<Alone> {
        None
    }

    /// Notified when a host can take work again.
    fn changed(&self) -> &Notify;

    /// Why there is no host, if that is known.
    fn failure(&self) -> Option<String>;

    /// From now on, `api` serves the API requests of the application itself.
    fn connect(&self, api: Arc<dyn WebApi>);

    /// Ends the hosts that this process started.
    async fn shut_down(&self);
}

/// The best host for the work: it meets the need, is not blocked, and has the least in flight.
pub(crate) fn best(hosts: Vec<Arc<Host>>, work: Work, need: &Need<'_>) -> Option<Arc<Host>> {
    let able = |host: &Arc<Host>| host.is_ready() && (work == Work::Question || !host.is_draining());
    let fit = hosts.into_iter().filter(|host| able(host) && need.is_met_by(host.offer()));
    fit.min_by_key(|host| (host.is_draining(), host.is_blocked(), host.load()))
}

/// Waits up to 30 s for a host.
pub(crate) async fn choose(source: &dyn Source, work: Work, need: Need<'_>) -> Result<Arc<Host>> {
    let deadline = tokio::time::Instant::now() + HOST_WAIT;
    loop {
        let changed = source.changed().notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        // Repeated in each iteration, because the application's offer may have changed.
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
