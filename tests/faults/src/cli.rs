//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Breaks a whole platform on purpose, and checks that nothing was lost. Exit code: 0, or 1 if a promise was broken, or 2 if it could not be tried.
#[derive(Debug, Clone, Parser)]
#[command(name = "langopen-faults", version)]
pub(crate) struct Cli {
    /// Decides what is done and what goes wrong, in the first trial; each further trial takes the next number.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many trials, each with a platform of its own.
    #[arg(long, default_value_t = 1)]
    pub(crate) trials: u64,
    /// How long faults are made in each trial.
    #[arg(long, default_value_t = 40, value_name = "SECONDS")]
    pub(crate) seconds: u64,
    /// Go on with further trials until there were this many faults.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) until_faults: Option<u64>,
    /// What the platform is made of.
    #[arg(long, value_enum, default_value_t = Layout::Planes)]
    pub(crate) layout: Layout,
    /// Do without Redis.
    #[arg(long)]
    pub(crate) no_redis: bool,
    /// Only these faults; may be repeated.
    #[arg(long = "fault", value_name = "NAME")]
    pub(crate) faults: Vec<String>,
    /// How many clients there are.
    #[arg(long, default_value_t = 10)]
    pub(crate) clients: usize,
    /// The folder of LangOpen's programs [default: that of this one].
    #[arg(long, env = "LANGOPEN_BIN_DIR", value_name = "DIR")]
    pub(crate) programs: Option<PathBuf>,
    /// Where the Python environment is kept between trials [default: environments beside the programs].
    #[arg(long, env = "LANGOPEN_CACHE_DIR", value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Keep logs and data of each trial in this folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
    /// Also write the report to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// What the platform is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Layout {
    /// 2 API servers, 3 workers and 2 runners on Postgres and Redis.
    Planes,
    /// 3 times `langopen up` on Postgres and Redis.
    Peers,
    /// `langopen up` on SQLite.
    Alone,
}
