//! Lays out the processes of a platform and the connections between them.

use std::path::PathBuf;

use super::faketime;
use super::{Kind, LEASE, Link, Node, Platform, port};
use crate::cli::{Cli, Layout};
use crate::error::{Error, Result, io};
use crate::services::Proxy;

const TOKEN: &str = "only-for-this-trial";

/// Creates the processes of a layout, without starting them.
pub(super) async fn nodes(cli: &Cli, platform: &Platform) -> Result<Vec<Node>> {
    let plan = Plan { cli, platform, programs: programs(cli)? };
    let mut nodes = Vec::new();
    match cli.layout {
        Layout::Alone => nodes.push(plan.up(1).await?),
        Layout::Peers => {
            for number in 1..=3 {
                nodes.push(plan.up(number).await?);
            }
        }
        Layout::Planes => {
            for number in 1..=2 {
                nodes.push(plan.runner(number).await?);
            }
            let runners: Vec<_> = nodes.iter().map(|runner| runner.port).collect();
            for number in 1..=3 {
                nodes.push(plan.worker(number, &runners).await?);
            }
            for number in 1..=2 {
                nodes.push(plan.api_server(number, &runners).await?);
            }
        }
    }
    Ok(nodes)
}

struct Plan<'a> {
    cli: &'a Cli,
    platform: &'a Platform,
    programs: PathBuf,
}

impl Plan<'_> {
    async fn up(&self, number: u16) -> Result<Node> {
        let mut node = self.node(Kind::Up, "langopen", &format!("up-{number}"))?;
        node.arguments = vec!["up".to_owned()];
        self.stores(&mut node).await?;
        self.application(&mut node, "2")?;
        node.env.extend([
            ("BG_JOB_MAX_RETRIES", "999".to_owned()),
            ("BG_JOB_SHUTDOWN_GRACE_PERIOD_SECS", "2".to_owned()),
            ("LANGOPEN_WORKERS", "2".to_owned()),
        ]);
        Ok(node)
    }

    async fn runner(&self, number: u16) -> Result<Node> {
        let mut node = self.node(Kind::Runner, "langopen-runner", &format!("runner-{number}"))?;
        self.application(&mut node, "1")?;
        node.env.extend([
            ("LANGOPEN_HEALTH_PORT", port()?.to_string()),
            ("LANGOPEN_RUNNER_TOKEN", TOKEN.to_owned()),
            ("LANGOPEN_GRACE_SECONDS", "2".to_owned()),
        ]);
        Ok(node)
    }

    async fn worker(&self, number: u16, runners: &[u16]) -> Result<Node> {
        let mut node = self.node(Kind::Worker, "langopen-worker", &format!("worker-{number}"))?;
        self.stores(&mut node).await?;
        self.runners(&mut node, runners).await?;
        node.env.extend([
            ("LANGOPEN_LEASE_SECONDS", LEASE.as_secs().to_string()),
            ("LANGOPEN_JOB_MAX_RETRIES", "999".to_owned()),
            ("LANGOPEN_GRACE_SECONDS", "2".to_owned()),
            ("LANGOPEN_JOBS", "6".to_owned()),
        ]);
        Ok(node)
    }

    async fn api_server(&self, number: u16, runners: &[u16]) -> Result<Node> {
        let mut node = self.node(Kind::ApiServer, "langopen-api-server", &format!("api-server-{number}"))?;
        self.stores(&mut node).await?;
        self.runners(&mut node, runners).await?;
        node.env.push(("LANGOPEN_GRACE_SECONDS", "2".to_owned()));
        Ok(node)
    }

    fn node(&self, kind: Kind, program: &str, name: &str) -> Result<Node> {
        let path = self.programs.join(program);
        if !path.is_file() {
            let hint = "build it: cargo build --workspace --bins --all-features";
            return Err(Error::Missing { program: path.display().to_string(), hint });
        }
        let port = port()?;
        let log = self.platform.place(&format!("{name}.log"));
        let mut env = vec![
            ("LANGOPEN_HOST", "127.0.0.1".to_owned()),
            ("LANGOPEN_PORT", port.to_string()),
            ("LANGSMITH_TRACING", "false".to_owned()),
            ("LANGOPEN_TEST_CLOCK_OFFSET_FILE", self.platform.clock().display().to_string()),
        ];
        let mut clock = None;
        if let Some(library) = &self.platform.faketime {
            let file = self.platform.place(&format!("{name}.clock"));
            faketime::write(&file, 0)?;
            env.extend(faketime::variables(library, &file));
            clock = Some(file);
        }
        let (name, arguments, links) = (name.to_owned(), Vec::new(), Vec::new());
        Ok(Node { name, kind, program: path, arguments, env, port, links, log, clock, process: Default::default() })
    }

    fn application(&self, node: &mut Node, hosts: &str) -> Result<()> {
        let cache = self.cli.cache_dir.clone().unwrap_or_else(|| self.programs.join("fault-environments"));
        let faketime = self.platform.faketime.as_ref().zip(node.clock.as_ref());
        let faketime = faketime.map(|(library, file)| faketime::variables(library, file)).unwrap_or_default();
        let config = self.platform.app.config(&node.name, &faketime)?;
        node.env.extend([
            ("LANGOPEN_CONFIG", config.display().to_string()),
            ("LANGOPEN_DATA", self.platform.place(&format!("{}.data", node.name)).display().to_string()),
            ("LANGOPEN_CACHE_DIR", cache.display().to_string()),
            ("LANGOPEN_HOSTS", hosts.to_owned()),
        ]);
        Ok(())
    }

    async fn stores(&self, node: &mut Node) -> Result<()> {
        if let Some(postgres) = &self.platform.postgres {
            let port = link(node, "postgres", postgres.port).await?;
            node.env.push(("LANGOPEN_DATABASE_URL", format!("postgres://langopen@127.0.0.1:{port}/postgres")));
        }
        if let Some(redis) = &self.platform.redis {
            let port = link(node, "redis", redis.port).await?;
            node.env.push(("LANGOPEN_REDIS_URL", format!("redis://127.0.0.1:{port}/0")));
        }
        Ok(())
    }

    async fn runners(&self, node: &mut Node, runners: &[u16]) -> Result<()> {
        let mut urls = Vec::new();
        for (number, runner) in (1..).zip(runners) {
            let port = link(node, &format!("runner-{number}"), *runner).await?;
            urls.push(format!("tcp://127.0.0.1:{port}"));
        }
        node.env.extend([("LANGOPEN_RUNNER_URLS", urls.join(",")), ("LANGOPEN_RUNNER_TOKEN", TOKEN.to_owned())]);
        Ok(())
    }
}

/// Adds a proxy from the process to a port, and returns the proxy's own port.
async fn link(node: &mut Node, to: &str, port: u16) -> Result<u16> {
    let link = Link { to: to.to_owned(), proxy: Proxy::start(port).await? };
    let begins = link.proxy.port;
    node.links.push(link);
    Ok(begins)
}

fn programs(cli: &Cli) -> Result<PathBuf> {
    if let Some(folder) = &cli.programs {
        return std::path::absolute(folder).map_err(io("the folder of programs"));
    }
    let own = std::env::current_exe().map_err(io("the program's own folder"))?;
    Ok(own.parent().map(PathBuf::from).unwrap_or_default())
}
