//! The command lines of the programs. Each option has an environment variable, and stands over a key of the settings.

use std::env;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser};
use config::Value;

use crate::cli::LogFormat;

/// Values that lie over those of the files.
#[derive(Debug, Default)]
pub(crate) struct Overrides(Vec<(&'static str, Value)>);

impl Overrides {
    /// Sets a key, if there is a value.
    pub(crate) fn set(&mut self, key: &'static str, value: Option<impl Into<Value>>) {
        self.0.extend(value.map(|value| (key, value.into())));
    }

    /// Sets a key from the option, or else from the first of the variables that users of other servers know.
    fn set_or(&mut self, key: &'static str, value: Option<impl Into<Value>>, variables: &[&str]) {
        match value {
            Some(value) => self.set(key, Some(value)),
            None => {
                self.set(key, variables.iter().find_map(|name| env::var(name).ok().filter(|text| !text.is_empty())))
            }
        }
    }

    pub(super) fn into_values(self) -> impl Iterator<Item = (&'static str, Value)> {
        self.0.into_iter()
    }
}

/// Options of every program.
#[derive(Debug, Args)]
pub(crate) struct CommonOptions {
    /// A file of settings, in TOML; see --print-settings.
    #[arg(long, env = "LANGOPEN_SETTINGS", value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
    /// Print all settings with their defaults and what they mean, and end.
    #[arg(long)]
    pub(crate) print_settings: bool,
    /// How log records are written to standard error [default: json if LOG_JSON is true, else text]; LOG_LEVEL or
    /// RUST_LOG chooses which.
    #[arg(long, env = "LANGOPEN_LOG_FORMAT", value_enum)]
    pub(crate) log_format: Option<LogFormat>,
}

/// Where the shared data is.
#[derive(Debug, Args)]
struct DataOptions {
    /// The Postgres that the platform's processes share [also: DATABASE_URI, POSTGRES_URI].
    #[arg(long, env = "LANGOPEN_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database: Option<String>,
    /// The same Postgres past the pooler that --database goes through, for wake-ups.
    #[arg(long, env = "LANGOPEN_DATABASE_DIRECT_URL", value_name = "URL", hide_env_values = true)]
    database_direct: Option<String>,
    /// A Redis for wake-ups and streams; without one Postgres does both [also: REDIS_URI].
    #[arg(long, env = "LANGOPEN_REDIS_URL", value_name = "URL", hide_env_values = true)]
    redis: Option<String>,
}

impl DataOptions {
    fn put(self, overrides: &mut Overrides) {
        overrides.set_or("database.url", self.database, &["DATABASE_URI", "POSTGRES_URI"]);
        overrides.set("database.direct_url", self.database_direct);
        overrides.set_or("redis.url", self.redis, &["REDIS_URI"]);
        overrides.set_or("redis.prefix", None::<String>, &["LANGOPEN_REDIS_PREFIX"]);
    }
}

/// How runners are reached.
#[derive(Debug, Args)]
struct RunnersOptions {
    /// Where runners are: tcp://host:port or tls://host:port, with commas between.
    #[arg(long, env = "LANGOPEN_RUNNER_URLS", value_name = "URLS")]
    runner_urls: Option<String>,
    /// What runners ask for.
    #[arg(long, env = "LANGOPEN_RUNNER_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    runner_token: Option<String>,
    /// The CA of the certificates of tls:// runners, in PEM.
    #[arg(long, env = "LANGOPEN_RUNNER_CA", value_name = "FILE")]
    runner_ca: Option<String>,
    /// The certificate to show to them.
    #[arg(long, env = "LANGOPEN_RUNNER_CERT", value_name = "FILE")]
    runner_cert: Option<String>,
    /// The key of that certificate.
    #[arg(long, env = "LANGOPEN_RUNNER_KEY", value_name = "FILE")]
    runner_key: Option<String>,
}

impl RunnersOptions {
    fn put(self, overrides: &mut Overrides) {
        overrides.set("runners.urls", self.runner_urls);
        overrides.set("runners.token", self.runner_token);
        overrides.set("runners.ca", self.runner_ca);
        overrides.set("runners.cert", self.runner_cert);
        overrides.set("runners.key", self.runner_key);
    }
}

/// Serve the Agent Server API of every deployment whose runners are named.
#[derive(Debug, Parser)]
#[command(name = "langopen-api-server", version)]
pub(crate) struct ApiServerOptions {
    #[command(flatten)]
    pub(crate) common: CommonOptions,
    #[command(flatten)]
    data: DataOptions,
    #[command(flatten)]
    runners: RunnersOptions,
    /// The address to listen on.
    #[arg(long, env = "LANGOPEN_HOST", value_name = "ADDRESS")]
    host: Option<String>,
    /// The port to listen on; 0 takes a free one.
    #[arg(long, short, env = "LANGOPEN_PORT")]
    port: Option<u16>,
    /// Where requests go that name no deployment: organization/project/deployment.
    #[arg(long, env = "LANGOPEN_DEPLOYMENT", value_name = "NAME")]
    deployment: Option<String>,
    /// A file of API keys, beside those of the database.
    #[arg(long, env = "LANGOPEN_API_KEYS_FILE", value_name = "FILE")]
    api_keys: Option<String>,
    /// Whether deployments without a login of their own are for bearers of API keys alone [default: where other
    /// machines reach the address].
    #[arg(long, env = "LANGOPEN_REQUIRE_API_KEYS", value_parser = ["auto", "always", "never"])]
    require_api_keys: Option<String>,
    /// How long requests in flight may go on after SIGTERM, in seconds.
    #[arg(long, env = "LANGOPEN_GRACE_SECONDS", value_name = "SECONDS")]
    grace_seconds: Option<u32>,
}

impl ApiServerOptions {
    pub(crate) fn overrides(self) -> Overrides {
        let mut overrides = Overrides::default();
        self.data.put(&mut overrides);
        self.runners.put(&mut overrides);
        overrides.set("api.host", self.host);
        overrides.set("api.port", self.port);
        overrides.set("api.deployment", self.deployment);
        overrides.set("api.api_keys", self.api_keys);
        overrides.set("api.require_api_keys", self.require_api_keys);
        overrides.set("api.grace_seconds", self.grace_seconds);
        overrides.set_or("api.crons", None::<bool>, &["FF_CRONS_ENABLED"]);
        overrides.set_or("api.metric_prefix", None::<String>, &["METRIC_PREFIX"]);
        overrides.set_or("api.max_body_bytes_in_flight", None::<String>, &["LANGOPEN_MAX_BODY_BYTES_IN_FLIGHT"]);
        overrides.set_or("api.write_timeout_seconds", None::<String>, &["LANGOPEN_WRITE_TIMEOUT_SECONDS"]);
        overrides
    }
}

/// Claim runs and have runners execute them; fire crons, deliver webhooks, remove what has served its time.
#[derive(Debug, Parser)]
#[command(name = "langopen-worker", version)]
pub(crate) struct WorkerOptions {
    #[command(flatten)]
    pub(crate) common: CommonOptions,
    #[command(flatten)]
    data: DataOptions,
    #[command(flatten)]
    runners: RunnersOptions,
    /// The address to serve health and metrics on.
    #[arg(long, env = "LANGOPEN_HOST", value_name = "ADDRESS")]
    host: Option<String>,
    /// The port to serve them on; 0 takes a free one.
    #[arg(long, short, env = "LANGOPEN_PORT")]
    port: Option<u16>,
    /// Runs to execute at once [also: N_JOBS_PER_WORKER].
    #[arg(long, env = "LANGOPEN_JOBS", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// How long a run is the worker's own without a sign of life, in seconds.
    #[arg(long, env = "LANGOPEN_LEASE_SECONDS", value_name = "SECONDS")]
    lease_seconds: Option<f64>,
    /// How long a run may take, in seconds [also: BG_JOB_TIMEOUT_SECS].
    #[arg(long, env = "LANGOPEN_JOB_TIMEOUT_SECONDS", value_name = "SECONDS")]
    job_timeout_seconds: Option<u32>,
    /// How often a run is tried again when the platform, not its graph, fails [also: BG_JOB_MAX_RETRIES].
    #[arg(long, env = "LANGOPEN_JOB_MAX_RETRIES", value_name = "NUMBER")]
    job_max_retries: Option<u32>,
    /// How long runs in flight may go on after SIGTERM, in seconds [also: BG_JOB_SHUTDOWN_GRACE_PERIOD_SECS].
    #[arg(long, env = "LANGOPEN_GRACE_SECONDS", value_name = "SECONDS")]
    grace_seconds: Option<u32>,
    /// Whether it fires crons [also: FF_CRONS_ENABLED].
    #[arg(long, env = "LANGOPEN_CRONS", action = ArgAction::Set, value_parser = clap::builder::BoolishValueParser::new())]
    crons: Option<bool>,
    /// Whether it delivers webhooks.
    #[arg(long, env = "LANGOPEN_WEBHOOKS", action = ArgAction::Set, value_parser = clap::builder::BoolishValueParser::new())]
    webhooks: Option<bool>,
    /// The API's address, for webhooks with a relative URL.
    #[arg(long, env = "LANGOPEN_API_URL", value_name = "URL")]
    api_url: Option<String>,
}

impl WorkerOptions {
    pub(crate) fn overrides(self) -> Overrides {
        let mut overrides = Overrides::default();
        self.data.put(&mut overrides);
        self.runners.put(&mut overrides);
        overrides.set("worker.host", self.host);
        overrides.set("worker.port", self.port);
        overrides.set_or("worker.jobs", self.jobs, &["N_JOBS_PER_WORKER"]);
        overrides.set("worker.lease_seconds", self.lease_seconds);
        overrides.set_or("worker.job_timeout_seconds", self.job_timeout_seconds, &["BG_JOB_TIMEOUT_SECS"]);
        overrides.set_or("worker.job_max_retries", self.job_max_retries, &["BG_JOB_MAX_RETRIES"]);
        overrides.set_or("worker.grace_seconds", self.grace_seconds, &["BG_JOB_SHUTDOWN_GRACE_PERIOD_SECS"]);
        overrides.set_or("worker.crons", self.crons, &["FF_CRONS_ENABLED"]);
        overrides.set("worker.webhooks", self.webhooks);
        overrides.set("worker.api_url", self.api_url);
        overrides
    }
}

/// Run the graphs of one deployment for workers and API servers. It needs no way to data stores, and no user code runs
/// anywhere else.
#[derive(Debug, Parser)]
#[command(name = "langopen-runner", version)]
pub(crate) struct RunnerOptions {
    #[command(flatten)]
    pub(crate) common: CommonOptions,
    /// The application's langgraph.json.
    #[arg(long, short, env = "LANGOPEN_CONFIG", value_name = "FILE")]
    config: Option<String>,
    /// The deployment that it is run for: organization/project/deployment.
    #[arg(long, env = "LANGOPEN_DEPLOYMENT", value_name = "NAME")]
    deployment: Option<String>,
    /// The address to listen on.
    #[arg(long, env = "LANGOPEN_HOST", value_name = "ADDRESS")]
    host: Option<String>,
    /// The port for workers and API servers; 0 takes a free one.
    #[arg(long, short, env = "LANGOPEN_PORT")]
    port: Option<u16>,
    /// The port for health and metrics; 0 takes a free one.
    #[arg(long, env = "LANGOPEN_HEALTH_PORT")]
    health_port: Option<u16>,
    /// How many Python processes share the graphs' load.
    #[arg(long, env = "LANGOPEN_HOSTS", value_parser = clap::value_parser!(u16).range(1..=256))]
    hosts: Option<u16>,
    /// A folder for Python environments and the host's program [default: .langopen beside the config].
    #[arg(long, env = "LANGOPEN_DATA", value_name = "DIR")]
    data: Option<String>,
    /// Where Python environments are kept and shared between applications [default: environments in the data folder].
    #[arg(long, env = "LANGOPEN_CACHE_DIR", value_name = "DIR")]
    cache_dir: Option<String>,
    /// The Python interpreter to make the environment with [default: the newest one found that fits].
    #[arg(long, env = "LANGOPEN_PYTHON", value_name = "FILE")]
    python: Option<String>,
    /// The address that runs see as the API's.
    #[arg(long, env = "LANGOPEN_API_URL", value_name = "URL")]
    api_url: Option<String>,
    /// What clients must know.
    #[arg(long, env = "LANGOPEN_RUNNER_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The runner's certificate, in PEM.
    #[arg(long, env = "LANGOPEN_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<String>,
    /// The key of the certificate.
    #[arg(long, env = "LANGOPEN_TLS_KEY", value_name = "FILE")]
    tls_key: Option<String>,
    /// The CA whose certificates clients must show.
    #[arg(long, env = "LANGOPEN_TLS_CLIENT_CA", value_name = "FILE")]
    tls_client_ca: Option<String>,
    /// How long runs in flight may go on after SIGTERM, in seconds [also: BG_JOB_SHUTDOWN_GRACE_PERIOD_SECS].
    #[arg(long, env = "LANGOPEN_GRACE_SECONDS", value_name = "SECONDS")]
    grace_seconds: Option<u32>,
}

impl RunnerOptions {
    pub(crate) fn overrides(self) -> Overrides {
        let mut overrides = Overrides::default();
        overrides.set("runner.config", self.config);
        overrides.set("runner.deployment", self.deployment);
        overrides.set("runner.host", self.host);
        overrides.set("runner.port", self.port);
        overrides.set("runner.health_port", self.health_port);
        overrides.set("runner.hosts", self.hosts);
        overrides.set("runner.data", self.data);
        overrides.set("runner.cache_dir", self.cache_dir);
        overrides.set("runner.python", self.python);
        overrides.set("runner.api_url", self.api_url);
        overrides.set("runner.token", self.token);
        overrides.set("runner.tls_cert", self.tls_cert);
        overrides.set("runner.tls_key", self.tls_key);
        overrides.set("runner.tls_client_ca", self.tls_client_ca);
        overrides.set_or("runner.grace_seconds", self.grace_seconds, &["BG_JOB_SHUTDOWN_GRACE_PERIOD_SECS"]);
        overrides
    }
}
