//! A Postgres of one test's own, which the test may restart and crash.

use tokio::task::spawn_blocking;

use crate::error::Result;
use crate::local;

/// A server of this machine's own packages. It stops when this is dropped.
#[derive(Debug)]
pub struct OwnPostgres {
    server: local::Postgres,
}

impl OwnPostgres {
    /// Starts one.
    ///
    /// # Panics
    /// When it does not start; the message says what to install.
    pub async fn start() -> Self {
        let started = spawn_blocking(local::start_own_postgres).await;
        match started.map_err(|error| local::failed("the start", error)).and_then(|started| started) {
            Ok(server) => Self { server },
            Err(error) => panic!("{error}"),
        }
    }

    /// `postgres://...`, as a user who may create databases.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Ends all sessions, stops the server in order, and starts it again.
    ///
    /// # Errors
    /// If `pg_ctl` fails.
    pub async fn restart(&self) -> Result<()> {
        self.control("fast").await
    }

    /// Stops the server as a crash does, and starts it again.
    ///
    /// # Errors
    /// If `pg_ctl` fails.
    pub async fn crash(&self) -> Result<()> {
        self.control("immediate").await
    }

    async fn control(&self, mode: &'static str) -> Result<()> {
        let server = self.server.clone();
        let log = server.log();
        let restarted = spawn_blocking(move || server.control(&["-l", &log, "-m", mode, "restart"])).await;
        restarted.map_err(|error| local::failed("the restart", error))?
    }
}

impl Drop for OwnPostgres {
    fn drop(&mut self) {
        // The server may be down.
        let _ = self.server.control(&["-m", "immediate", "stop"]);
    }
}
