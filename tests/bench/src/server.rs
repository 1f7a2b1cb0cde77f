//! Servers under test: LangOpen and the peer, each started on the same application.

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::process::Command;

use crate::client::Client;
use crate::error::{Error, Result};
use crate::process::{Memory, Process};

/// The most time for a start. The first start may install a Python environment.
const TO_START: Duration = Duration::from_secs(180);
const BETWEEN_TRIES: Duration = Duration::from_millis(100);
const FIRST_RUN: &[u8] = br#"{"assistant_id":"noop","input":{"messages":[{"role":"user","content":"hi"}]}}"#;

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) client: Client,
    process: Option<Process>,
    pid: Option<u32>,
}

impl Server {
    /// `langopen up` with two graph hosts and a fresh data folder. Later runs reuse its Python environment.
    pub(crate) async fn langopen(program: &Path, folder: &Path) -> Result<Self> {
        let port = free_port()?;
        let mut command = Command::new(program);
        command.arg("up").arg("--config").arg(folder.join("langgraph.json"));
        command.arg("--data").arg(folder.join("data")).args(["--hosts", "2", "--port", &port]);
        if std::env::var_os("LANGOPEN_CACHE_DIR").is_none() {
            command.env("LANGOPEN_CACHE_DIR", std::env::temp_dir().join("langopen-bench-environments"));
        }
        Self::start("langopen", command, folder, &port).await
    }

    /// The peer's development server, which keeps everything in memory.
    pub(crate) async fn peer(program: &Path, folder: &Path) -> Result<Self> {
        let port = free_port()?;
        let mut command = Command::new(program);
        command.args(["dev", "--no-browser", "--no-reload", "--n-jobs-per-worker", "10", "--port", &port]);
        command.arg("--config").arg(folder.join("langgraph.json"));
        Self::start("peer", command, folder, &port).await
    }

    /// A server that this program did not start.
    pub(crate) async fn running(url: &str, pid: Option<u32>) -> Result<Self> {
        let mut server = Self { name: "langopen", client: Client::new(url, None)?, process: None, pid };
        server.until_ready().await?;
        Ok(server)
    }

    /// The server's memory now, without its children.
    pub(crate) fn memory(&self) -> Option<Memory> {
        self.pid.and_then(Memory::of)
    }

    /// Stops the server, if `start` started it.
    pub(crate) async fn stop(self) {
        if let Some(process) = self.process {
            process.stop().await;
        }
    }

    /// Starts a server on the port and waits until it is ready.
    pub(crate) async fn start(name: &'static str, mut command: Command, folder: &Path, port: &str) -> Result<Self> {
        // Neither server may send traces.
        command.current_dir(folder).env("LANGSMITH_TRACING", "false").env("LANGCHAIN_TRACING_V2", "false");
        let process = Process::start(command, folder.join(format!("{name}.log")))?;
        let client = Client::new(&format!("http://127.0.0.1:{port}"), None)?;
        let pid = Some(process.id());
        let mut server = Self { name, client, process: Some(process), pid };
        server.until_ready().await?;
        Ok(server)
    }

    /// Waits until the server has answered and run a graph.
    async fn until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + TO_START;
        loop {
            let failure = match try_run(&self.client).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let ended = self.process.as_mut().and_then(Process::ended);
            if ended.is_some() || Instant::now() > deadline || self.process.is_none() {
                let problem = ended.unwrap_or_else(|| format!("does not serve runs: {failure}"));
                let log = self.process.as_ref().map(Process::log_tail).unwrap_or_default();
                return Err(Error::Server { name: self.name.to_owned(), problem, log });
            }
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
    }
}

/// Runs a graph.
pub(crate) async fn try_run(client: &Client) -> Result<()> {
    client.wait("/runs/wait", Bytes::from_static(FIRST_RUN)).await
}

/// A port that is free at the moment.
pub(crate) fn free_port() -> Result<String> {
    let failed = |source| Error::Io { what: "no free port".into(), source };
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(failed)?;
    Ok(listener.local_addr().map_err(failed)?.port().to_string())
}
