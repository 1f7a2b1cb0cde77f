//! The runner service: graph hosts of one deployment for workers and API servers on other machines.
//!
//! A client's connection carries the frames of all graph hosts together. The service passes them on; of payloads it
//! reads only which run or call a host's call belongs to. It holds no credentials of data stores: calls of graphs go
//! back to the client that began the run.

mod error;
mod greet;
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

/// How often the service looks whether the status of the hosts has changed.
const LOOK: Duration = Duration::from_millis(250);

/// How many connections may be in the handshake.
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
    /// Starts the hosts, waits until all have loaded the application's graphs, and lets clients in.
    ///
    /// # Errors
    /// `Unprotected` for a port that other machines can reach without a token or a client certificate; `Tls` for
    /// certificates that cannot be used; `Host` for the first host's failure to start.
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
        tasks.spawn(tell(Arc::clone(&inside), stop.clone()));
        info!(%address, deployment = %inside.door.tenant(), "the runner is ready");
        Ok(Self { inside, stop, tasks })
    }

    /// Whether it takes runs.
    pub fn is_ready(&self) -> bool {
        self.inside.hosts.status(self.inside.is_draining()).hosts > 0 && !self.inside.is_draining()
    }

    /// Sends new runs elsewhere, and waits until those in flight have ended, at most for `grace`. Returns how many were
    /// left.
    pub async fn drain(&self, grace: Duration) -> usize {
        self.inside.draining.store(true, Ordering::Relaxed);
        self.inside.switch.tell(self.inside.hosts.status(true));
        self.inside.switch.wait_until_idle(grace).await
    }

    /// Cuts all clients off and ends the hosts. Runs in flight are lost here; their workers hand them back at once.
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
        let Ok(place) = Arc::clone(&strangers).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (inside, stop) = (Arc::clone(&inside), stop.clone());
                tasks.spawn(async move {
                    tokio::select! {
                        () = serve(inside, stream, peer, place) => {}
                        () = stop.cancelled() => {}
                    }
                });
            }
            Err(error) => {
                warn!(%error, "a connection cannot be accepted");
                // Too many open files, for one, do not go away at once.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(
    inside: Arc<Inside>,
    stream: tokio::net::TcpStream,
    peer: SocketAddr,
    place: tokio::sync::OwnedSemaphorePermit,
) {
    match inside.door.greet(stream).await {
        Ok((client, connection)) => {
            drop(place);
            info!(%peer, client = client.name, "a client connected");
            let name = client.name.clone();
            session::serve(&inside, client, connection).await;
            info!(%peer, client = name, "a client is gone");
        }
        Err(why) => warn!(%peer, why, "a connection was refused"),
    }
}

/// Sends the clients the status of the hosts when it changes, and finds runs that do not end.
async fn tell(inside: Arc<Inside>, stop: CancellationToken) {
    let mut told = None;
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
        if told != Some(status) {
            inside.switch.tell(status);
            told = Some(status);
        }
    }
}
