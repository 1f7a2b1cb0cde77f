//! Serving until told to stop, and stopping in order: no new runs, then no new requests.

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::announce::say;
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
    // Streams write small pieces; without this each would wait for the other side to acknowledge the one before.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            warn!(%error, "a connection cannot be set to send at once");
        }
    });
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service).with_graceful_shutdown(quiet.clone().cancelled_owned()).into_future();
    tokio::pin!(server);
    tokio::select! {
        served = &mut server => return served.map_err(CommandError::Serve),
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
        served = &mut server => return served.map_err(CommandError::Serve),
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
