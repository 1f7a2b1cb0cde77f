//! The platform: an API server, workers and runners, each in its own process.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::process::Command;

use super::Environment;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::process::{Memory, Process};
use crate::server::free_port;

/// A first start may install a Python environment.
const TO_START: Duration = Duration::from_secs(180);

/// The running processes.
pub(super) struct Platform {
    pub(super) client: Client,
    pub(super) url: String,
    pub(super) database: String,
    api: Process,
    workers: Vec<Process>,
    runners: Vec<Process>,
}

impl Platform {
    /// Starts workers and runners, with `hosts` graph hosts in each runner. Returns once the platform has run a graph.
    pub(super) async fn start(
        environment: &Environment,
        name: &str,
        workers: usize,
        runners: usize,
        hosts: usize,
    ) -> Result<Self> {
        let folder = environment.folder.join(name);
        std::fs::create_dir_all(&folder)
            .map_err(|source| Error::Io { what: format!("cannot create {}", folder.display()), source })?;
        let database = environment.databases.make(name).await?;
        let program = |name: &str| {
            let mut command = Command::new(environment.programs.join(name));
            command.current_dir(&environment.folder);
            command.env("LANGSMITH_TRACING", "false").env("LANGCHAIN_TRACING_V2", "false");
            command.env("LANGOPEN_CACHE_DIR", std::env::temp_dir().join("langopen-bench-environments"));
            command.env("LANGOPEN_RUNNER_TOKEN", "bench-bench-bench-bench-bench-bench");
            command
        };
        let start = |command: Command, name: String| Process::start(command, folder.join(format!("{name}.log")));
        let (mut urls, mut started) = (Vec::new(), Vec::new());
        for number in 0..runners {
            let (port, health) = (free_port()?, free_port()?);
            let mut command = program("langopen-runner");
            command
                .env("LANGOPEN_CONFIG", environment.folder.join("langgraph.json"))
                .env("LANGOPEN_HOSTS", hosts.to_string());
            command.env("LANGOPEN_HOST", "127.0.0.1").env("LANGOPEN_PORT", &port);
            command.env("LANGOPEN_HEALTH_PORT", health);
            command.env("LANGOPEN_DATA", folder.join(format!("runner-{number}")));
            started.push(start(command, format!("runner-{number}"))?);
            urls.push(format!("tcp://127.0.0.1:{port}"));
        }
        let port = free_port()?;
        let shared = |mut command: Command| {
            command.env("LANGOPEN_DATABASE_URL", &database).env("LANGOPEN_REDIS_URL", &environment.redis.url);
            command.env("LANGOPEN_RUNNER_URLS", urls.join(","));
            command
        };
        let mut command = shared(program("langopen-api-server"));
        command.env("LANGOPEN_HOST", "127.0.0.1").env("LANGOPEN_PORT", &port);
        let api = start(command, "api-server".to_owned())?;
        let mut working = Vec::new();
        for number in 0..workers {
            let mut command = shared(program("langopen-worker"));
            command.env("LANGOPEN_PORT", free_port()?);
            working.push(start(command, format!("worker-{number}"))?);
        }
        let url = format!("http://127.0.0.1:{port}");
        let client = Client::new(&url, None)?;
        let mut platform = Self { client, url, database, api, workers: working, runners: started };
        platform.until_ready(&folder).await?;
        Ok(platform)
    }

    /// The memory of the API server.
    pub(super) fn memory(&self) -> Option<Memory> {
        Memory::of(self.api.id())
    }

    /// Kills the worker or runner with this process id and its children, as `kill -9` does.
    pub(super) fn kill(&mut self, pid: u32) -> bool {
        let kill = |processes: &mut Vec<Process>| {
            let at = processes.iter().position(|process| process.id() == pid);
            at.map(|at| drop(processes.remove(at))).is_some()
        };
        kill(&mut self.workers) || kill(&mut self.runners)
    }

    pub(super) fn worker_pids(&self) -> Vec<u32> {
        self.workers.iter().map(Process::id).collect()
    }

    pub(super) async fn stop(self) {
        self.api.stop().await;
        for process in self.workers.into_iter().chain(self.runners) {
            process.stop().await;
        }
    }

    async fn until_ready(&mut self, folder: &Path) -> Result<()> {
        let deadline = Instant::now() + TO_START;
        loop {
            let Err(failure) = crate::server::try_run(&self.client).await else { return Ok(()) };
            let all = std::iter::once(&mut self.api).chain(&mut self.workers).chain(&mut self.runners);
            let ended = all.filter_map(|process| Some((process.ended()?, process.log_tail()))).next();
            if let Some((problem, log)) = ended {
                return Err(Error::Server { name: folder.display().to_string(), problem, log });
            }
            if Instant::now() > deadline {
                let problem = format!("does not serve runs: {failure}");
                let log = self.api.log_tail();
                return Err(Error::Server { name: "langopen-api-server".into(), problem, log });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
