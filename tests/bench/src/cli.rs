//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::cluster::Part;
use crate::load::Scenario;

/// Measures servers that speak the Agent Server API.
#[derive(Debug, Parser)]
#[command(name = "langopen-bench", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run one scenario against a server and print one JSON line.
    Load(LoadOptions),
    /// Compare LangOpen, a peer and the bare library in one run; exit with 1 if a bar is missed.
    Compare(CompareOptions),
    /// Measure the platform as several processes on Postgres and Redis, and an open peer; exit with 1 if a bar is
    /// missed.
    Cluster(ClusterOptions),
    /// Measure TypeScript graphs and the thread protocol; exit with 1 if a bar is missed.
    Doors(DoorsOptions),
    /// Serve the API with an executor that does nothing (used by `cluster`).
    #[command(hide = true)]
    ServeEmpty(ServeEmptyOptions),
}

/// Options of `load`.
#[derive(Debug, Clone, Args)]
pub(crate) struct LoadOptions {
    /// The server's address.
    #[arg(long, default_value = "http://127.0.0.1:2024", value_name = "URL")]
    pub(crate) base: String,
    /// The work that each client repeats.
    #[arg(long, value_enum)]
    pub(crate) scenario: Scenario,
    /// The assistant or graph to run.
    #[arg(long, default_value = "noop")]
    pub(crate) assistant: String,
    /// Number of concurrent clients; each waits for an answer before its next request.
    #[arg(long, default_value_t = 8)]
    pub(crate) clients: usize,
    /// Length of the measurement, in seconds.
    #[arg(long, default_value_t = 5.0)]
    pub(crate) seconds: f64,
    /// Length of the warm-up, in seconds.
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS")]
    pub(crate) warm_up: f64,
    /// Turns per thread (for turns, state and history).
    #[arg(long, default_value_t = 10)]
    pub(crate) turns: usize,
    /// The run's input, as JSON.
    #[arg(long, default_value = r#"{"messages":[{"role":"user","content":"hi"}]}"#, value_name = "JSON")]
    pub(crate) input: String,
    /// The stream mode (for stream and hold).
    #[arg(long, default_value = "values", value_name = "MODE")]
    pub(crate) stream_mode: String,
    /// The key to send as x-api-key.
    #[arg(long, env = "LANGOPEN_BENCH_API_KEY", hide_env_values = true)]
    pub(crate) api_key: Option<String>,
}

/// Options of `compare`.
#[derive(Debug, Clone, Args)]
pub(crate) struct CompareOptions {
    /// The langopen binary [default: beside this one, else on PATH].
    #[arg(long, env = "LANGOPEN_BIN", value_name = "FILE")]
    pub(crate) langopen: Option<PathBuf>,
    /// Measure a running server at this address instead of a new LangOpen; it must serve the graphs of `app/`.
    #[arg(long, conflicts_with = "langopen")]
    pub(crate) url: Option<String>,
    /// The process id of the server at --url, for its memory.
    #[arg(long, requires = "url")]
    pub(crate) pid: Option<u32>,
    /// The peer's command.
    #[arg(long, env = "LANGOPEN_BENCH_PEER", default_value = "langgraph", value_name = "FILE")]
    pub(crate) peer: PathBuf,
    /// Do not measure the peer.
    #[arg(long)]
    pub(crate) no_peer: bool,
    /// The Python interpreter for the bare library [default: `python` beside the peer, else python3].
    #[arg(long, env = "LANGOPEN_BENCH_PYTHON", value_name = "FILE")]
    pub(crate) python: Option<PathBuf>,
    /// Measure only what the bars need, for a shorter time: at most 90 seconds instead of 4 minutes.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Also write the JSON report to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// Options of `cluster`. `DATABASE_URL` names a Postgres. Without it, the command starts one in a container or from the
/// machine's packages.
#[derive(Debug, Clone, Args)]
pub(crate) struct ClusterOptions {
    /// The folder of langopen-api-server, langopen-worker and langopen-runner [default: beside this program].
    #[arg(long, env = "LANGOPEN_BENCH_PROGRAMS", value_name = "FOLDER")]
    pub(crate) programs: Option<PathBuf>,
    /// The open peer's command [default: aegra on PATH].
    #[arg(long, env = "LANGOPEN_BENCH_AEGRA", value_name = "FILE")]
    pub(crate) aegra: Option<PathBuf>,
    /// Run only these parts; may be repeated.
    #[arg(long, value_enum)]
    pub(crate) only: Vec<Part>,
    /// Measure for a shorter time.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Also write the JSON report to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// Options of `doors`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DoorsOptions {
    /// The langopen binary [default: beside this one, else on PATH].
    #[arg(long, env = "LANGOPEN_BIN", value_name = "FILE")]
    pub(crate) langopen: Option<PathBuf>,
    /// Measure for a shorter time.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Also write the JSON report to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// Options of `serve-empty`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServeEmptyOptions {
    #[arg(long)]
    pub(crate) database: String,
    #[arg(long)]
    pub(crate) redis: String,
    #[arg(long)]
    pub(crate) port: u16,
}
