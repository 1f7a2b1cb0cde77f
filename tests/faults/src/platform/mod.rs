//! A whole platform of real processes. Faults can hit each of them.

mod app;
mod faketime;
mod node;
mod plan;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::future::try_join_all;

pub(crate) use app::App;
pub(crate) use node::{Kind, Link, Node};

use crate::cli::{Cli, Layout};
use crate::error::{Error, Result};
use crate::process::tail;
use crate::services::{Postgres, Redis, free_port};

/// The length of a lease. It is short, so that many leases end in a trial.
pub(crate) const LEASE: Duration = Duration::from_secs(3);

/// The first start builds the Python environment, so it may take long.
const TO_START: Duration = Duration::from_secs(300);

/// How long to wait for a process on which everything depends.
const TO_COME_BACK: Duration = Duration::from_secs(5);

/// The platform and its data stores. Dropping it ends all of them.
pub(crate) struct Platform {
    pub(crate) nodes: Vec<Node>,
    pub(crate) postgres: Option<Postgres>,
    pub(crate) redis: Option<Redis>,
    pub(crate) app: App,
    /// The addresses of the API.
    pub(crate) urls: Vec<String>,
    folder: PathBuf,
    /// The library that shifts clocks, if it is installed.
    faketime: Option<PathBuf>,
}

impl Platform {
    pub(crate) async fn start(cli: &Cli, folder: &Path) -> Result<Self> {
        let app = App::write(folder)?;
        let stores = cli.layout != Layout::Alone;
        let postgres = if stores { Some(Postgres::start(folder.join("postgres")).await?) } else { None };
        let with_redis = stores && !cli.no_redis;
        let redis = if with_redis { Some(Redis::start(folder.join("redis")).await?) } else { None };
        let faketime = faketime::library();
        if faketime.is_none() {
            eprintln!(
                "langopen-faults: the fault \"skew\" is left out; to enable it, install Debian's package faketime"
            );
        }
        let (nodes, urls, folder) = (Vec::new(), Vec::new(), folder.to_owned());
        let mut platform = Self { nodes, postgres, redis, app, urls, folder, faketime };
        platform.nodes = plan::nodes(cli, &platform).await?;
        platform.urls = platform
            .nodes
            .iter()
            .filter(|node| node.serves())
            .map(|node| format!("http://127.0.0.1:{}", node.port))
            .collect();
        for node in &platform.nodes {
            node.up()?;
        }
        platform.until_ready().await?;
        Ok(platform)
    }

    /// Waits until each API server has run a graph, so that everything behind it works.
    async fn until_ready(&self) -> Result<()> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build()?;
        let deadline = Instant::now() + TO_START;
        let ready = self.urls.iter().map(|url| self.until_url_ready(&http, url, deadline));
        try_join_all(ready).await.map(drop)
    }

    async fn until_url_ready(&self, http: &reqwest::Client, url: &str, deadline: Instant) -> Result<()> {
        let run = serde_json::json!({"assistant_id": "steps", "input": {"steps": 1, "pause": 0, "at": 0, "log": []}});
        loop {
            let answer = http.post(format!("{url}/runs/wait")).json(&run).send().await;
            let problem = match answer {
                Ok(answer) if answer.status().is_success() => match answer.text().await {
                    Ok(text) if !text.contains("__error__") => return Ok(()),
                    Ok(text) => text,
                    Err(error) => error.to_string(),
                },
                Ok(answer) => answer.status().to_string(),
                Err(error) => error.to_string(),
            };
            let ended = self.nodes.iter().find(|node| node.has_ended());
            if ended.is_some() || Instant::now() > deadline {
                let name = ended.map_or_else(|| url.to_owned(), |node| node.name.clone());
                let log = self.nodes.iter().filter(|node| ended.is_none_or(|ended| ended.name == node.name));
                let log: Vec<_> = log.map(|node| format!("--- {}\n{}", node.name, tail(&node.log))).collect();
                return Err(Error::Start { name, problem, log: log.join("\n") });
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// If everything depends on one process, waits until the process answers. A fault in a process that is not up yet
    /// tests nothing.
    pub(crate) async fn until_up(&self) {
        let [url] = self.urls.as_slice() else { return };
        let answers = async || reqwest::get(format!("{url}/ok")).await.is_ok_and(|answer| answer.status().is_success());
        let up = async {
            while !answers().await {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        // The process may be held up, or may not start by itself.
        let _ = tokio::time::timeout(TO_COME_BACK, up).await;
    }

    /// The path of one of the platform's folders.
    fn place(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The file with the offset of the platform's clock, in microseconds.
    pub(crate) fn clock(&self) -> PathBuf {
        self.place("clock-offset")
    }

    /// Whether each process can have its own clock.
    pub(crate) fn skews(&self) -> bool {
        self.faketime.is_some()
    }

    /// Shuts everything down cleanly, so that the stored files are complete.
    pub(crate) async fn stop(&self) {
        futures::future::join_all(self.nodes.iter().map(Node::stop)).await;
    }
}

fn port() -> Result<u16> {
    free_port()
}
