//! A Redis for the comparison alone, so that it can be stopped.

use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::process::Command;

use crate::error::{Error, Result};
use crate::process::Process;
use crate::server::free_port;

/// A Redis: a process that this program started, or one that already runs and cannot be stopped, if there is no
/// `redis-server`.
pub(super) struct Redis {
    pub(super) url: String,
    process: Mutex<Option<Process>>,
}

impl Redis {
    pub(super) async fn start(folder: &Path) -> Result<Self> {
        let Ok(program) = which::which("redis-server") else {
            return Ok(Self { url: langopen_test_services::redis_url().await, process: Mutex::default() });
        };
        let port = free_port()?;
        let mut command = Command::new(program);
        command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--dir"]).arg(folder);
        let process = Process::start(command, folder.join("redis.log"))?;
        for _ in 0..200 {
            if TcpStream::connect(format!("127.0.0.1:{port}")).is_ok() {
                let url = format!("redis://127.0.0.1:{port}");
                return Ok(Self { url, process: Mutex::new(Some(process)) });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(Error::Server { name: "redis-server".into(), problem: "does not listen".into(), log: process.log_tail() })
    }

    /// Starts another Redis in `folder`, if this one is a process of this program.
    pub(super) async fn another(&self, folder: &Path) -> Result<Option<Self>> {
        if self.process.lock().is_none() {
            return Ok(None);
        }
        std::fs::create_dir_all(folder)
            .map_err(|source| Error::Io { what: format!("cannot create {}", folder.display()), source })?;
        Self::start(folder).await.map(Some)
    }

    /// Stops the Redis for good.
    pub(super) async fn stop(&self) {
        let process = self.process.lock().take();
        if let Some(process) = process {
            process.stop().await;
        }
    }
}
