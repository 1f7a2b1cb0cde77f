//! Why a runner does not start.

use std::io;
use std::net::SocketAddr;

use crate::host::HostError;
use crate::tls::TlsError;

/// Why a runner does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunnerError {
    /// Other machines could reach the port without authentication, and execute graphs.
    #[error("refusing to listen on {0} without authentication; set a token, or certificates with a CA for clients")]
    Unprotected(SocketAddr),
    /// The certificates cannot be used.
    #[error("{0}")]
    Tls(#[from] TlsError),
    /// A graph host did not start.
    #[error("{0}")]
    Host(#[from] HostError),
    /// The runner cannot listen on the port.
    #[error("cannot listen: {0}")]
    Listen(#[source] io::Error),
}
