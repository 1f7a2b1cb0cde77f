//! A Redis that belongs to this program.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::process::Command;

use super::free_port;
use crate::error::{Error, Result, io};
use crate::process::{Process, tail};

const TO_START: Duration = Duration::from_secs(60);

/// A Redis that belongs to this program. Dropping it stops the server.
#[derive(Debug)]
pub(crate) struct Redis {
    program: PathBuf,
    folder: PathBuf,
    pub(crate) port: u16,
    process: Mutex<Option<Process>>,
}

impl Redis {
    pub(crate) async fn start(folder: PathBuf) -> Result<Self> {
        let missing = |_| Error::Missing { program: "redis-server".to_owned(), hint: "apt-get install redis-server" };
        let program = which::which("redis-server").map_err(missing)?;
        std::fs::create_dir_all(&folder).map_err(io(format!("{}", folder.display())))?;
        let redis = Self { program, folder, port: free_port()?, process: Mutex::default() };
        redis.up().await?;
        Ok(redis)
    }

    pub(crate) async fn up(&self) -> Result<()> {
        let mut command = Command::new(&self.program);
        let port = self.port.to_string();
        command.args(["--port", &port, "--bind", "127.0.0.1", "--appendonly", "no", "--save", "", "--dir"]);
        command.arg(&self.folder);
        let log = self.folder.join("log");
        *self.process.lock() = Some(Process::start(command, &log)?);
        let deadline = Instant::now() + TO_START;
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            if Instant::now() > deadline {
                let problem = "it does not listen".to_owned();
                return Err(Error::Start { name: "redis-server".to_owned(), problem, log: tail(&log) });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    pub(crate) async fn down(&self, kill: bool) {
        let process = self.process.lock().take();
        match process {
            Some(process) if kill => process.kill().await,
            Some(process) => process.stop().await,
            None => {}
        }
    }
}
