//! Serving until told to stop, and stopping in order: no new runs, then no new requests.

use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::announce::say;
use crate::connections::{self, Limits};
use crate::error::CommandError;

/// Serves until Ctrl-C or SIGTERM, then awaits `drain` with requests still answered, then lets open ones end within
/// `grace`; a second signal ends the process at once.
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
    say("stopping", "what is in flight may end; press Ctrl-C again to stop at once");
    tokio::pin!(drain);
    // Requests are answered while runs end: clients that wait for them get their results.
    tokio::select! {
        () = &mut server => return Ok(()),
        () = &mut drain => {}
        () = signals.next() => return Ok(()),
    }
    quiet.cancel();
    // Endless streams would keep the server from ending.
    tokio::select! {
        () = &mut server => {}
        () = tokio::time::sleep(grace) => info!("open connections were closed"),
        () = signals.next() => {}
    }
    Ok(())
}

/// Ctrl-C and SIGTERM. From when this is made, neither ends the process by itself.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(crate) fn listen() -> Result<Self, CommandError> {
        let listen = |kind| signal(kind).map_err(CommandError::Signals);
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
