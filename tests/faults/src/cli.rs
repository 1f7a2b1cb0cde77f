//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Break a whole platform on purpose, and check that no data was lost. Exit code: 0; 1 if a promise was broken; 2 if a
/// trial could not run.
#[derive(Debug, Clone, Parser)]
#[command(name = "langopen-faults", version)]
pub(crate) struct Cli {
    /// The seed of the first trial's requests and faults. Each further trial uses the next number.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The number of trials. Each has its own platform.
    #[arg(long, default_value_t = 1)]
    pub(crate) trials: u64,
    /// How long each trial makes faults.
    #[arg(long, default_value_t = 40, value_name = "SECONDS")]
    pub(crate) seconds: u64,
    /// Repeat trials until this many faults were made.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) until_faults: Option<u64>,
    /// The processes of the platform.
    #[arg(long, value_enum, default_value_t = Layout::Planes)]
    pub(crate) layout: Layout,
    /// Run without Redis.
    #[arg(long)]
    pub(crate) no_redis: bool,
    /// Make only these faults; may be repeated.
    #[arg(long = "fault", value_name = "NAME")]
    pub(crate) faults: Vec<String>,
    /// The number of clients.
    #[arg(long, default_value_t = 10)]
    pub(crate) clients: usize,
    /// The folder of LangOpen's programs [default: the folder of this program].
    #[arg(long, env = "LANGOPEN_BIN_DIR", value_name = "DIR")]
    pub(crate) programs: Option<PathBuf>,
    /// The folder of the Python environment, which trials share [default: environments beside the programs].
    #[arg(long, env = "LANGOPEN_CACHE_DIR", value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Store the logs and the data of each trial in this folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
    /// Also write the report to this file as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// The processes of the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Layout {
    /// 2 API servers, 3 workers and 2 runners on Postgres and Redis.
    Planes,
    /// 3 times `langopen up` on Postgres and Redis.
    Peers,
    /// `langopen up` on SQLite.
    Alone,
}
