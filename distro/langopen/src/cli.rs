//! The command line.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::database::PREFIX;
use crate::error::CommandError;
use crate::isolation::SandboxMode;
use crate::manage::{DeploymentsCommand, KeysCommand};
use crate::secret_file::value_or_file;

/// Run LangGraph agents on your own machines, behind LangGraph's Agent Server API.
#[derive(Debug, Parser)]
#[command(name = "langopen", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// The format of log records on standard error [default: json if LOG_JSON is true, else text]. LOG_LEVEL or
    /// RUST_LOG sets the level.
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
    /// Import threads, checkpoints and store items from the Postgres of langgraph's PostgresSaver and PostgresStore.
    Import(ImportOptions),
    /// Create, list and revoke API keys.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Create, list and limit deployments.
    #[command(subcommand)]
    Deployments(DeploymentsCommand),
}

/// How to import threads whose ids are not UUIDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OtherThreadIds {
    /// Stop before writing anything, if the source has such threads.
    Refuse,
    /// Give each a UUID derived from its id; the metadata stores the original id as imported_thread_id.
    Map,
    /// Skip these threads.
    Skip,
}

/// Options of `langopen import`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ImportOptions {
    /// The Postgres to read, as postgres://USER:PASSWORD@HOST/DATABASE. The import writes nothing there; stop the
    /// application that writes there.
    #[arg(long, env = "LANGOPEN_IMPORT_FROM", value_name = "URL", hide_env_values = true)]
    pub(crate) from: String,
    /// The data folder that `langopen up` serves; no server may use it during the import.
    #[arg(long, env = "LANGOPEN_DATA", default_value = ".langopen", value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The database to write, instead of the data folder's.
    #[arg(long, env = "LANGOPEN_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) database: Option<String>,
    /// A file with the URL of --database.
    #[arg(long, env = "LANGOPEN_DATABASE_URL_FILE", value_name = "FILE", conflicts_with = "database")]
    pub(crate) database_file: Option<PathBuf>,
    /// The deployment that gets the data, as organization/project/deployment [default: default/default/default].
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// The graph of the threads. Without one, a thread's state can be read only after its first run here.
    #[arg(long, value_name = "ID")]
    pub(crate) graph: Option<String>,
    /// The key of checkpoints' metadata that names a thread's graph; --graph applies to threads without this key.
    #[arg(long, value_name = "KEY")]
    pub(crate) graph_key: Option<String>,
    /// A key of checkpoints' metadata to copy to the metadata of threads, for use in searches; may be repeated.
    #[arg(long = "metadata-key", value_name = "KEY")]
    pub(crate) metadata_keys: Vec<String>,
    /// How to import threads whose ids are not UUIDs.
    #[arg(long, value_enum, default_value_t = OtherThreadIds::Refuse)]
    pub(crate) other_thread_ids: OtherThreadIds,
    /// How many threads to import at once.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=32))]
    pub(crate) jobs: u8,
    /// Count the source's contents without writing anything.
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
    /// The folder of the database and the environments [default: .langopen beside the config].
    #[arg(long, env = "LANGOPEN_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The folder of Python environments, which applications can share [default: environments in the data folder].
    #[arg(long, env = "LANGOPEN_CACHE_DIR", value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// The Python interpreter of the environment [default: the first one found that fits].
    #[arg(long, env = "LANGOPEN_PYTHON", value_name = "FILE")]
    pub(crate) python: Option<PathBuf>,
    /// A file of API keys. Callers then need an API key, or a login of the application's own `auth.path`.
    #[arg(long, env = "LANGOPEN_API_KEYS_FILE", value_name = "FILE")]
    pub(crate) api_keys: Option<PathBuf>,
    /// How many workers claim runs; each executes up to N_JOBS_PER_WORKER (10) at once.
    #[arg(long, env = "LANGOPEN_WORKERS", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) workers: u16,
    /// The number of graph hosts, the processes that execute the graphs.
    #[arg(long, env = "LANGOPEN_HOSTS", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) hosts: u16,
    /// The URL of a shared Postgres (postgres://...), or `memory:` to store all data in memory, for trials and tests
    /// [default: SQLite in the data folder; also: DATABASE_URI, POSTGRES_URI].
    #[arg(long, env = "LANGOPEN_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) database: Option<String>,
    /// A file with the URL of --database. Unlike --database, it does not show the URL in process lists.
    #[arg(long, env = "LANGOPEN_DATABASE_URL_FILE", value_name = "FILE", conflicts_with = "database")]
    pub(crate) database_file: Option<PathBuf>,
    /// A Redis for the wake-ups and streams of processes that share a Postgres [also: REDIS_URI].
    #[arg(long, env = "LANGOPEN_REDIS_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) redis: Option<String>,
    /// A file with the URL of --redis.
    #[arg(long, env = "LANGOPEN_REDIS_URL_FILE", value_name = "FILE", conflicts_with = "redis")]
    pub(crate) redis_file: Option<PathBuf>,
    /// Restrict graph hosts from reading the data folder and other processes: auto (if the kernel has Landlock), off,
    /// or require.
    #[arg(long, env = "LANGOPEN_SANDBOX", value_enum, default_value_t = SandboxMode::Auto, value_name = "MODE")]
    pub(crate) sandbox: SandboxMode,
    /// The prefix of all keys and channels in Redis.
    #[arg(long, env = "LANGOPEN_REDIS_PREFIX", value_name = "TEXT", default_value = PREFIX, hide = true)]
    pub(crate) redis_prefix: String,
    /// The limit on the total size of request bodies in flight, in bytes; the API answers further requests with 429.
    #[arg(long, env = "LANGOPEN_MAX_BODY_BYTES_IN_FLIGHT", default_value_t = 1 << 30, value_name = "BYTES", hide = true)]
    pub(crate) max_body_bytes_in_flight: usize,
    /// How many seconds the server waits for a client that reads nothing, before it closes the connection.
    #[arg(long, env = "LANGOPEN_WRITE_TIMEOUT_SECONDS", default_value_t = 60, value_name = "SECONDS", hide = true, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) write_timeout_seconds: u64,
    /// The prefix of the workers' gauges in /metrics.
    #[arg(long, env = "METRIC_PREFIX", default_value = "lg_api_", hide = true)]
    pub(crate) metric_prefix: String,
    /// Whether crons fire. The API accepts and changes crons in any case.
    #[arg(long, env = "FF_CRONS_ENABLED", default_value_t = true, hide = true, action = clap::ArgAction::Set, value_parser = clap::builder::BoolishValueParser::new())]
    pub(crate) crons: bool,
    /// How many runs one worker executes at once.
    #[arg(long, env = "N_JOBS_PER_WORKER", default_value_t = 10, hide = true, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs_per_worker: u16,
    /// The longest duration of a run, in seconds.
    #[arg(long, env = "BG_JOB_TIMEOUT_SECS", default_value_t = 86_400, hide = true)]
    pub(crate) job_timeout_secs: u64,
    /// How often a run is retried when the platform, not its graph, fails.
    #[arg(long, env = "BG_JOB_MAX_RETRIES", default_value_t = 3, hide = true, value_parser = clap::value_parser!(u32).range(..1000))]
    pub(crate) job_max_retries: u32,
    /// How long runs may continue after Ctrl-C, in seconds. Unfinished runs resume at the next start.
    #[arg(long, env = "BG_JOB_SHUTDOWN_GRACE_PERIOD_SECS", default_value_t = 2, hide = true)]
    pub(crate) shutdown_grace_secs: u64,
}

impl ImportOptions {
    /// The URL of the database, from the option or from its file.
    pub(crate) fn database(&self) -> Result<Option<String>, CommandError> {
        value_or_file(self.database.as_ref(), "--database-file", self.database_file.as_deref())
    }
}

impl UpOptions {
    /// The URL of the database, from the option or from its file.
    pub(crate) fn database(&self) -> Result<Option<String>, CommandError> {
        value_or_file(self.database.as_ref(), "--database-file", self.database_file.as_deref())
    }

    /// The URL of the Redis, from the option or from its file.
    pub(crate) fn redis(&self) -> Result<Option<String>, CommandError> {
        value_or_file(self.redis.as_ref(), "--redis-file", self.redis_file.as_deref())
    }
}
