//! `langopen-bench cluster`: the platform as several processes on Postgres and Redis, and an open peer on the same two.

mod backlog;
mod database;
mod empty;
mod idle;
mod lost;
mod new_run;
mod open;
mod peers;
mod platform;
mod redis;
mod start;

use std::path::PathBuf;
use std::process::ExitCode;

use self::database::Databases;
use self::redis::Redis;
use crate::app;
use crate::cli::ClusterOptions;
use crate::error::{Error, Result};
use crate::report::Report;

pub(crate) use empty::serve as serve_empty;

/// The environment of a comparison.
struct Environment {
    databases: Databases,
    redis: Redis,
    /// The folder of the platform's programs.
    programs: PathBuf,
    /// A folder with the application.
    folder: PathBuf,
    quick: bool,
}

/// Measures, prints the table and the JSON report, and fails if a bar is missed.
pub(crate) async fn command(options: ClusterOptions) -> Result<ExitCode> {
    let root = tempfile::Builder::new().prefix("langopen-bench-").tempdir();
    let root = root.map_err(|source| Error::Io { what: "no temporary folder".into(), source })?;
    app::unpack(app::PYTHON, root.path())?;
    let environment = Environment {
        databases: Databases::at(langopen_test_services::postgres_url().await),
        redis: Redis::start(root.path()).await?,
        programs: programs(&options)?,
        folder: root.path().to_owned(),
        quick: options.quick,
    };
    let mut report = Report::new(options.quick);
    let wanted = |part| options.only.is_empty() || options.only.contains(&part);
    for part in Part::ALL.into_iter().filter(|part| wanted(*part)) {
        eprintln!("{}", part.name());
        let found = match part {
            Part::Runs => empty::measure(&environment).await,
            Part::Backlog => backlog::measure(&environment).await,
            Part::Start => start::measure(&environment).await,
            Part::Lost => lost::measure(&environment).await,
            Part::Idle => idle::measure(&environment).await,
            Part::Peers => peers::measure(&environment, options.aegra.as_deref()).await,
        };
        report.add(part.name(), found);
    }
    environment.databases.drop_all().await;
    report.print(options.json.as_deref())
}

/// The parts of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Part {
    /// Runs per second, from creation to a terminal status, with an executor that does nothing.
    Runs,
    /// The claims of other threads while 20,000 runs wait on one thread.
    Backlog,
    /// The time from enqueue to start on an idle system, with and without Redis.
    Start,
    /// A run's standstill after its worker or runner is killed.
    Lost,
    /// Idle streams: their memory, and the delay of their events.
    Idle,
    /// The same graphs on the open peer.
    Peers,
}

impl Part {
    const ALL: [Self; 6] = [Self::Runs, Self::Backlog, Self::Start, Self::Lost, Self::Idle, Self::Peers];

    fn name(self) -> &'static str {
        match self {
            Self::Runs => "runs per second, with an executor that does nothing",
            Self::Backlog => "a backlog on one thread",
            Self::Start => "from enqueue to start",
            Self::Lost => "a worker and a runner that are killed",
            Self::Idle => "idle streams",
            Self::Peers => "the open peer",
        }
    }
}

/// The folder of the platform's programs.
fn programs(options: &ClusterOptions) -> Result<PathBuf> {
    let beside = || std::env::current_exe().ok().and_then(|this| Some(this.parent()?.to_owned()));
    let folder = options.programs.clone().or_else(beside).unwrap_or_default();
    match folder.join("langopen-worker").is_file() {
        true => Ok(folder),
        false => {
            Err(Error::Option(format!("no langopen-worker in {}: build it, or name its folder", folder.display())))
        }
    }
}
