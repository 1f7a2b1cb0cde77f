//! The runner service: the graph hosts of one deployment, for workers and API servers on other machines.
//!
//! A client's connection carries the frames of all graph hosts together, and the service passes them on. It reads
//! little of the payloads: which graph a frame needs, and which run, call or exchange a host's frame belongs to. It
//! holds no credentials of data stores: the client that began a run answers the calls of its graph.

mod error;
mod greet;
mod relay;
mod session;
mod settings;
mod switch;
mod table;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::host::Owner;
use crate::pool::{LocalHosts, PoolSettings, Source};
use greet::Door;
use switch::Switch;

pub use error::RunnerError;
pub use settings::RunnerServiceSettings;

/// The pause between two checks of the hosts' status.
const LOOK: Duration = Duration::from_millis(250);

/// The most connections in the handshake.
const STRANGERS: usize = 256;

/// A runner: graph hosts, and a port for their clients.
pub struct RunnerService {
    inside: Arc<Inside>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

struct Inside {
    hosts: Arc<LocalHosts>,
    switch: Arc<Switch>,
    door: Door,
    draining: AtomicBool,
}

impl RunnerService {
    /// Starts the hosts, waits until all have loaded the application's graphs, and accepts clients.
    ///
    /// # Errors
    /// `Unprotected` if other machines can reach the port without a token or a client certificate; `Tls` if
    /// certificates cannot be used; `Host` for the first host's failure to start.
    pub async fn start(
        listener: TcpListener,
        pool: PoolSettings,
        settings: RunnerServiceSettings,
    ) -> Result<Self, RunnerError> {
        let address = listener.local_addr().map_err(RunnerError::Listen)?;
        let door = Door::new(settings, address)?;
        let switch = Arc::<Switch>::default();
        let owner = Owner::new(door.tenant().clone(), Arc::default()).with_relay(switch.clone());
        let hosts = Arc::new(LocalHosts::start(pool, owner).await?);
        let inside = Arc::new(Inside { hosts, switch, door, draining: AtomicBool::new(false) });
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(accept(Arc::clone(&inside), listener, stop.clone(), tasks.clone()));
        tasks.spawn(watch_status(Arc::clone(&inside), stop.clone()));
        let tenant = inside.door.tenant();
        let (organization, project, deployment) = (tenant.organization(), tenant.project(), tenant.deployment());
        info!(%address, organization, project, deployment, "the runner is ready");
        Ok(Self { inside, stop, tasks })
    }

    /// Whether it takes runs.
    pub fn is_ready(&self) -> bool {
        self.inside.hosts.status(self.inside.is_draining()).hosts > 0 && !self.inside.is_draining()
    }

    /// Announces to clients that the runner drains, so they send new runs elsewhere. Then waits at most `grace` until
    /// the work in flight has ended, and returns how much is left.
    pub async fn drain(&self, grace: Duration) -> usize {
        self.inside.draining.store(true, Ordering::Relaxed);
        self.inside.switch.announce(self.inside.hosts.status(true));
        self.inside.switch.wait_until_idle(grace).await
    }

    /// Disconnects all clients and ends the hosts. Runs in flight are lost here; their workers hand them back at once.
    pub async fn shut_down(&self) {
        self.stop.cancel();
        self.inside.switch.cut_all();
        self.tasks.close();
        self.tasks.wait().await;
        self.inside.hosts.shut_down().await;
    }
}

impl Inside {
    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

async fn accept(inside: Arc<Inside>, listener: TcpListener, stop: CancellationToken, tasks: TaskTracker) {
    let strangers = Arc::new(Semaphore::new(STRANGERS));
    loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&strangers).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (inside, stop) = (Arc::clone(&inside), stop.clone());
                tasks.spawn(async move {
                    tokio::select! {
                        () = serve(inside, stream, peer, permit) => {}
                        () = stop.cancelled() => {}
                    }
                });
            }
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                // Some failures last longer, such as too many open files, so pause before the next attempt.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(
    inside: Arc<Inside>,
    stream: tokio::net::TcpStream,
    peer: SocketAddr,
    permit: tokio::sync::OwnedSemaphorePermit,
) {
    match inside.door.greet(stream).await {
        Ok((client, connection)) => {
            drop(permit);
            info!(%peer, client = client.name, "a client connected");
            let name = client.name.clone();
            session::serve(&inside, client, connection).await;
            info!(%peer, client = name, "a client disconnected");
        }
        Err(why) => warn!(%peer, reason = why, "a connection was refused"),
    }
}

/// Sends the clients the status of the hosts when it changes, and detects cancelled runs that do not end.
async fn watch_status(inside: Arc<Inside>, stop: CancellationToken) {
    let mut announced = None;
    loop {
        let changed = inside.hosts.changed().notified();
        tokio::select! {
            () = changed => {}
            () = inside.switch.host_lost() => {}
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => return,
        }
        inside.switch.find_overdue();
        let status = inside.hosts.status(inside.is_draining());
        if announced != Some(status) {
            inside.switch.announce(status);
            announced = Some(status);
        }
    }
}
