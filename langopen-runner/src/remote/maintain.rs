//! Maintains one connection to each address that a name resolves to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use metrics::gauge;
use rand::RngExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::RunnerUrl;
use super::dial::{Connection, Dialer, Found};
use super::set::Shared;
use crate::host::{Attach, Behind, Host};
use crate::metrics::RUNNER_LOAD;

/// The pause between two resolutions of a name.
const LOOK_UP: Duration = Duration::from_secs(5);

/// The pause between two PINGs, and the number of checks without an answer before the connection is given up. The
/// runner's answer does not depend on its graphs.
const PING_EVERY: Duration = Duration::from_millis(500);
const SILENT_LOOKS: u32 = 10;

/// The first and the longest pause before a new attempt to connect. A random part of up to the same length is added to
/// each pause.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Maintains the connections to all runners that one name resolves to.
#[derive(Clone)]
pub(super) struct Maintainer {
    pub(super) url: Arc<RunnerUrl>,
    pub(super) dialer: Arc<Dialer>,
    pub(super) shared: Arc<Shared>,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl Maintainer {
    /// Resolves the name repeatedly, and maintains a connection to each address.
    pub(super) async fn maintain(self) {
        let mut connections = BTreeMap::<SocketAddr, CancellationToken>::new();
        loop {
            match tokio::net::lookup_host((self.url.host.as_str(), self.url.port)).await {
                Ok(found) => self.follow(&mut connections, found.collect()),
                Err(error) => warn!(runner = %self.url, %error, "cannot resolve the name of a runner; trying again"),
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_UP) => {}
                () = self.stop.cancelled() => return,
            }
        }
    }

    fn follow(&self, connections: &mut BTreeMap<SocketAddr, CancellationToken>, found: Vec<SocketAddr>) {
        connections.retain(|address, stay| {
            let there = found.contains(address);
            if !there {
                stay.cancel();
            }
            there
        });
        for address in found {
            connections.entry(address).or_insert_with(|| {
                let stay = self.stop.child_token();
                self.tasks.spawn(self.clone().maintain_one(address, stay.clone()));
                stay
            });
        }
    }

    /// Maintains a connection to one address. If the name no longer resolves to it, an open connection stays in use
    /// until it breaks.
    async fn maintain_one(self, address: SocketAddr, stay: CancellationToken) {
        let mut pause = PAUSES.0;
        while !stay.is_cancelled() {
            let dialled = tokio::select! {
                dialled = self.dialer.dial(&self.url, address) => dialled,
                () = stay.cancelled() => break,
            };
            match dialled {
                Ok((found, connection)) => {
                    pause = PAUSES.0;
                    self.use_one(address, found, connection).await;
                }
                Err(error) => {
                    let why = error.to_string();
                    if self.shared.failed(address, &why) {
                        warn!(runner = %self.url, %address, reason = why, "a runner cannot be used; trying again");
                    }
                }
            }
            let jitter = rand::rng().random_range(1.0..2.0);
            tokio::select! {
                () = tokio::time::sleep(pause.mul_f64(jitter)) => {}
                () = stay.cancelled() => break,
            }
            pause = (pause * 2).min(PAUSES.1);
        }
        self.shared.forget(address);
    }

    async fn use_one(&self, address: SocketAddr, found: Found, connection: Connection) {
        let app = self.shared.announce(&found);
        let attach = Attach {
            number: usize::from(address.port()),
            offer: Arc::clone(&found.offer),
            handles: found.handles,
            status: found.status,
            load: gauge!(RUNNER_LOAD, "runner" => address.to_string()),
            owner: Arc::clone(&app.owner),
            behind: Behind::Runner,
        };
        let host = Host::attach(attach, connection);
        let tenant = &found.tenant;
        let (organization, project, deployment) = (tenant.organization(), tenant.project(), tenant.deployment());
        info!(runner = found.name, %address, organization, project, deployment, "connected to a runner");
        self.shared.add(address, found.tenant, Arc::clone(&host));
        self.watch(&host).await;
        self.shared.remove(&host);
        host.cut();
        if !self.stop.is_cancelled() {
            warn!(runner = found.name, %address, "a runner is gone; its runs are handed back");
        }
    }

    /// Waits until the connection closes, the runner stops answering, or the client stops.
    async fn watch(&self, host: &Host) {
        let mut pings = tokio::time::interval(PING_EVERY);
        pings.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // Counts checks instead of time: if this process was suspended, the runner is not to blame for the silence.
        let mut silent = 0;
        while silent < SILENT_LOOKS {
            tokio::select! {
                () = host.closed() => return,
                () = self.stop.cancelled() => return,
                _ = pings.tick() => {
                    silent = if host.silent_for() > 0 { silent + 1 } else { 0 };
                    host.ping();
                }
            }
        }
    }
}
