//! A Redis that accepts only TLS.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::certificates::Authority;
use crate::error::{Error, Result};
use crate::local;

/// A Redis server with a certificate of the authority for 127.0.0.1. Dropping it kills the server.
pub struct TlsRedis {
    process: Child,
    port: u16,
    _folder: TempDir,
}

impl TlsRedis {
    /// Starts a server.
    ///
    /// # Panics
    /// If the server does not start; the message says what to install.
    pub async fn start(authority: &Authority) -> Self {
        Self::try_start(authority).await.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn try_start(authority: &Authority) -> Result<Self> {
        let program = local::redis_program()?;
        let failed = |error: &dyn std::fmt::Display| local::failed("redis-server", error);
        let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
        let port = local::free_port()?;
        let (cert, key) = authority.issue("redis");
        let mut command = Command::new(program);
        command.args(["--bind", "127.0.0.1", "--save", "", "--port", "0", "--tls-port", &port.to_string()]);
        // Clients need no certificate.
        command.args(["--tls-auth-clients", "no"]).arg("--tls-ca-cert-file").arg(authority.ca());
        command.arg("--tls-cert-file").arg(cert).arg("--tls-key-file").arg(key).arg("--dir").arg(folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn();
        let process = process.map_err(|source| Error::Run { program: "redis-server".to_owned(), source })?;
        let mut this = Self { process, port, _folder: folder };
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if let Ok(Some(status)) = this.process.try_wait() {
                return Err(failed(&format!("it ended at once, with {status}; is it built with TLS?")));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(this)
    }

    /// `rediss://...`
    pub fn url(&self) -> String {
        format!("rediss://127.0.0.1:{}/0", self.port)
    }
}

impl Drop for TlsRedis {
    fn drop(&mut self) {
        // An error means that the server has already ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
