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
    /// Measure the platform as several processes on Postgres and Redis, beside the open peer; exit with 1 if a bar is missed.
    Cluster(ClusterOptions),
    /// Measure what is particular to TypeScript graphs and to the thread protocol; exit with 1 if a bar is missed.
    Doors(DoorsOptions),
    /// Serve the API with an executor that does nothing: a part of `cluster`.
    #[command(hide = true)]
    ServeEmpty(ServeEmptyOptions),
}

/// Options of `load`.
#[derive(Debug, Clone, Args)]
pub(crate) struct LoadOptions {
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:2024", value_name = "URL")]
    pub(crate) base: String,
    /// What each client does, again and again.
    #[arg(long, value_enum)]
    pub(crate) scenario: Scenario,
    /// The assistant, or graph, that runs.
    #[arg(long, default_value = "noop")]
    pub(crate) assistant: String,
    /// Clients at the same time; each waits for its answer before it asks again.
    #[arg(long, default_value_t = 8)]
    pub(crate) clients: usize,
    /// Length of the measurement.
    #[arg(long, default_value_t = 5.0)]
    pub(crate) seconds: f64,
    /// Length of the warm-up before it.
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS")]
    pub(crate) warm_up: f64,
    /// Turns of a thread (turns, state, history).
    #[arg(long, default_value_t = 10)]
    pub(crate) turns: usize,
    /// The run's input, as JSON.
    #[arg(long, default_value = r#"{"messages":[{"role":"user","content":"hi"}]}"#, value_name = "JSON")]
    pub(crate) input: String,
    /// The stream's mode (stream, hold).
    #[arg(long, default_value = "values", value_name = "MODE")]
    pub(crate) stream_mode: String,
    /// Sent as x-api-key.
    #[arg(long, env = "LANGOPEN_BENCH_API_KEY", hide_env_values = true)]
    pub(crate) api_key: Option<String>,
}

/// Options of `compare`.
#[derive(Debug, Clone, Args)]
pub(crate) struct CompareOptions {
    /// The langopen binary [default: beside this one, else on PATH].
    #[arg(long, env = "LANGOPEN_BIN", value_name = "FILE")]
    pub(crate) langopen: Option<PathBuf>,
    /// Measure this running server in LangOpen's place; it must serve the graphs of `app/`.
    #[arg(long, conflicts_with = "langopen")]
    pub(crate) url: Option<String>,
    /// The process behind --url, for its memory.
    #[arg(long, requires = "url")]
    pub(crate) pid: Option<u32>,
    /// The peer's command.
    #[arg(long, env = "LANGOPEN_BENCH_PEER", default_value = "langgraph", value_name = "FILE")]
    pub(crate) peer: PathBuf,
    /// Measure no peer.
    #[arg(long)]
    pub(crate) no_peer: bool,
    /// The interpreter for the bare library [default: `python` beside the peer, else python3].
    #[arg(long, env = "LANGOPEN_BENCH_PYTHON", value_name = "FILE")]
    pub(crate) python: Option<PathBuf>,
    /// Only what the bars need, and shorter: at most 90 seconds instead of 4 minutes.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Also write the JSON report to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// Options of `cluster`. `DATABASE_URL` names a Postgres; without it, one is started in a container or of this machine's packages.
#[derive(Debug, Clone, Args)]
pub(crate) struct ClusterOptions {
    /// Where langopen-api-server, langopen-worker and langopen-runner are [default: beside this program].
    #[arg(long, env = "LANGOPEN_BENCH_PROGRAMS", value_name = "FOLDER")]
    pub(crate) programs: Option<PathBuf>,
    /// The open peer's command [default: aegra on PATH].
    #[arg(long, env = "LANGOPEN_BENCH_AEGRA", value_name = "FILE")]
    pub(crate) aegra: Option<PathBuf>,
    /// Only these parts; may be repeated.
    #[arg(long, value_enum)]
    pub(crate) only: Vec<Part>,
    /// Shorter measurements.
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
    /// Shorter measurements.
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
