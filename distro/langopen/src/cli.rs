//! The command line.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::database::PREFIX;
use crate::manage::{DeploymentsCommand, KeysCommand};

/// Run LangGraph agents on your own machines, behind LangGraph's Agent Server API.
#[derive(Debug, Parser)]
#[command(name = "langopen", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// How log records are written to standard error [default: json if LOG_JSON is true, else text]; LOG_LEVEL or
    /// RUST_LOG chooses which.
    #[arg(long, env = "LANGOPEN_LOG_FORMAT", value_enum, global = true)]
    pub(crate) log_format: Option<LogFormat>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object per line; standard output is silent.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve an application with everything in this one process, and its data in one folder.
    Up(UpOptions),
    /// Take over threads, checkpoints and store items from a Postgres that langgraph's PostgresSaver and PostgresStore
    /// filled.
    Import(ImportOptions),
    /// Make, show and revoke API keys.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Say which deployments there are, how they are reached, and what limits them.
    #[command(subcommand)]
    Deployments(DeploymentsCommand),
}

/// What becomes of threads whose ids are not UUIDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OtherThreadIds {
    /// Stop before anything is written, if there are any.
    Refuse,
    /// Give each a UUID that is made of its id, always the same one; the metadata keep the id as imported_thread_id.
    Map,
    /// Leave them out.
    Skip,
}

/// Options of `langopen import`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ImportOptions {
    /// The Postgres to read, as postgres://USER:PASSWORD@HOST/DATABASE. Nothing is written there; stop the application
    /// that writes there first.
    #[arg(long, env = "LANGOPEN_IMPORT_FROM", value_name = "URL", hide_env_values = true)]
    pub(crate) from: String,
    /// The data folder that `langopen up` serves; no server may run on it meanwhile.
    #[arg(long, env = "LANGOPEN_DATA", default_value = ".langopen", value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The database to write, instead of the data folder's.
    #[arg(long, env = "LANGOPEN_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) database: Option<String>,
    /// Whose it becomes, as organization/project/deployment [default: where everybody acts].
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// The graph that the threads are of. Without one, a thread's state can be read only after its first run here.
    #[arg(long, value_name = "ID")]
    pub(crate) graph: Option<String>,
    /// The key of checkpoints' metadata that names a thread's graph; --graph is for threads that have none there.
    #[arg(long, value_name = "KEY")]
    pub(crate) graph_key: Option<String>,
    /// A key of checkpoints' metadata that threads get too, so that they are found by it; may be repeated.
    #[arg(long = "metadata-key", value_name = "KEY")]
    pub(crate) metadata_keys: Vec<String>,
    /// What becomes of threads whose ids are not UUIDs.
    #[arg(long, value_enum, default_value_t = OtherThreadIds::Refuse)]
    pub(crate) other_thread_ids: OtherThreadIds,
    /// How many threads are taken over at once.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=32))]
    pub(crate) jobs: u8,
    /// Count what there is, and write nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Options of `langopen up`. Each has an environment variable too.
#[derive(Debug, Clone, Args)]
pub(crate) struct UpOptions {
    /// The application's langgraph.json.
    #[arg(long, short, env = "LANGOPEN_CONFIG", default_value = "langgraph.json", value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// The address to listen on.
    #[arg(long, env = "LANGOPEN_HOST", default_value = "127.0.0.1", value_name = "ADDRESS")]
    pub(crate) host: IpAddr,
    /// The port to listen on; 0 takes a free one.
    #[arg(long, short, env = "LANGOPEN_PORT", default_value_t = 2024)]
    pub(crate) port: u16,
    /// Where threads, runs and everything else are kept [default: .langopen beside the config].
    #[arg(long, env = "LANGOPEN_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Where Python environments are kept and shared between applications [default: environments in the data folder].
    #[arg(long, env = "LANGOPEN_CACHE_DIR", value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// The Python interpreter to make the environment with [default: the newest one found that fits].
    #[arg(long, env = "LANGOPEN_PYTHON", value_name = "FILE")]
    pub(crate) python: Option<PathBuf>,
    /// Let only bearers of these API keys in, beside the users of the application's own `auth.path`.
    #[arg(long, env = "LANGOPEN_API_KEYS_FILE", value_name = "FILE")]
    pub(crate) api_keys: Option<PathBuf>,
    /// How many workers claim runs; each executes up to N_JOBS_PER_WORKER (10) at once.
    #[arg(long, env = "LANGOPEN_WORKERS", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) workers: u16,
    /// How many Python processes share the graphs' load.
    #[arg(long, env = "LANGOPEN_HOSTS", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) hosts: u16,
    /// A Postgres (postgres://...) that processes share; `memory:` keeps everything in memory, for trials and tests
    /// [default: SQLite in the data folder; also: DATABASE_URI, POSTGRES_URI].
    #[arg(long, env = "LANGOPEN_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) database: Option<String>,
    /// A Redis for the wake-ups and streams of processes that share a Postgres [also: REDIS_URI].
    #[arg(long, env = "LANGOPEN_REDIS_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) redis: Option<String>,
    /// What the names of all keys and channels in Redis begin with.
    #[arg(long, env = "LANGOPEN_REDIS_PREFIX", value_name = "TEXT", default_value = PREFIX, hide = true)]
    pub(crate) redis_prefix: String,
    /// How many bytes of request bodies may be in flight at once; more is answered 429.
    #[arg(long, env = "LANGOPEN_MAX_BODY_BYTES_IN_FLIGHT", default_value_t = 1 << 30, value_name = "BYTES", hide = true)]
    pub(crate) max_body_bytes_in_flight: usize,
    /// After how many seconds in which a client takes nothing of its answer the connection is closed.
    #[arg(long, env = "LANGOPEN_WRITE_TIMEOUT_SECONDS", default_value_t = 60, value_name = "SECONDS", hide = true, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) write_timeout_seconds: u64,
    /// How the names of the workers' gauges in /metrics begin.
    #[arg(long, env = "METRIC_PREFIX", default_value = "lg_api_", hide = true)]
    pub(crate) metric_prefix: String,
    /// Whether crons fire. They can be kept and changed in any case.
    #[arg(long, env = "FF_CRONS_ENABLED", default_value_t = true, hide = true, action = clap::ArgAction::Set, value_parser = clap::builder::BoolishValueParser::new())]
    pub(crate) crons: bool,
    /// How many runs one worker executes at once.
    #[arg(long, env = "N_JOBS_PER_WORKER", default_value_t = 10, hide = true, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs_per_worker: u16,
    /// How long a run may take, in seconds.
    #[arg(long, env = "BG_JOB_TIMEOUT_SECS", default_value_t = 86_400, hide = true)]
    pub(crate) job_timeout_secs: u64,
    /// How often a run is tried again when the platform, not its graph, fails.
    #[arg(long, env = "BG_JOB_MAX_RETRIES", default_value_t = 3, hide = true, value_parser = clap::value_parser!(u32).range(..1000))]
    pub(crate) job_max_retries: u32,
    /// How long runs may go on after Ctrl-C, in seconds. Those that are left go on at the next start.
    #[arg(long, env = "BG_JOB_SHUTDOWN_GRACE_PERIOD_SECS", default_value_t = 2, hide = true)]
    pub(crate) shutdown_grace_secs: u64,
}
