//! Serving until told to stop, and stopping in order: no new runs, then no new requests.

use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::announce::say;
use crate::connections;
use crate::error::CommandError;

/// How long open connections may take to end after the last run has.
const CONNECTION_GRACE: Duration = Duration::from_secs(1);

/// Serves until Ctrl-C or SIGTERM; a second one ends the process at once.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    worker: JoinHandle<()>,
    mut signals: Signals,
) -> Result<(), CommandError> {
    let quiet = CancellationToken::new();
    let server = connections::serve(listener, router, quiet.clone());
    tokio::pin!(server);
    tokio::select! {
        () = &mut server => return Ok(()),
        () = signals.next() => {}
    }
    say("stopping", "runs in flight may end; press Ctrl-C again to stop at once");
    stop.cancel();
    let drain = async {
        if let Err(error) = worker.await {
            warn!(%error, "the worker did not stop in order");
        }
        quiet.cancel();
    };
    tokio::pin!(drain);
    // Requests are answered while runs end: clients that wait for them get their results.
    tokio::select! {
        () = &mut server => return Ok(()),
        () = &mut drain => {}
        () = signals.next() => return Ok(()),
    }
    // Endless streams would keep the server from ending.
    if tokio::time::timeout(CONNECTION_GRACE, server).await.is_err() {
        info!("open connections were closed");
    }
    Ok(())
}

/// Ctrl-C and SIGTERM. From when this is made, neither ends the process by itself.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(super) fn listen() -> Result<Self, CommandError> {
        let listen = |kind| signal(kind).map_err(CommandError::Signals);
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
