//! Serves until a signal, then shuts down in order: new runs are refused first, then new requests.

use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::announce::say;
use crate::connections::{self, Limits};
use crate::error::CommandError;

/// Serves until Ctrl-C or SIGTERM. Then it still answers requests while it awaits `drain`, and gives open requests up
/// to `grace` to end. A second signal ends the process at once.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    drain: impl Future<Output = ()>,
    grace: Duration,
    signals: &mut Signals,
) -> Result<(), CommandError> {
    let quiet = CancellationToken::new();
    let server = connections::serve(listener, router, limits, quiet.clone());
    tokio::pin!(server);
    tokio::select! {
        () = &mut server => return Ok(()),
        () = signals.next() => {}
    }
    say("stopping", "waiting for runs and requests in flight; press Ctrl-C again to stop at once");
    tokio::pin!(drain);
    // The server still answers while runs end, so that waiting clients receive their results.
    tokio::select! {
        () = &mut server => return Ok(()),
        () = &mut drain => {}
        () = signals.next() => return Ok(()),
    }
    quiet.cancel();
    // Without this limit, endless streams would prevent the server from ending.
    tokio::select! {
        () = &mut server => {}
        () = tokio::time::sleep(grace) => info!("open connections were closed"),
        () = signals.next() => {}
    }
    Ok(())
}

/// Receives Ctrl-C and SIGTERM. While this value exists, the signals do not end the process by themselves.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(crate) fn listen() -> Result<Self, CommandError> {
        let listen = |kind| signal(kind).map_err(CommandError::Signals);
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Waits for the next signal.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
