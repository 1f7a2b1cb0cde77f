//! The command-line options of the programs. Each option has an environment variable, and overrides a key of the
//! settings.

use std::env;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser};
use config::Value;

use crate::cli::LogFormat;
use crate::error::CommandError;
use crate::secret_file;

/// Values that override those of the settings file.
#[derive(Debug, Default)]
pub(crate) struct Overrides {
    values: Vec<(&'static str, Value)>,
    /// Files that contain values, with the key and the option of each.
    files: Vec<(&'static str, &'static str, PathBuf)>,
}

impl Overrides {
    /// Sets a key, if a value is given.
    pub(crate) fn set(&mut self, key: &'static str, value: Option<impl Into<Value>>) {
        self.values.extend(value.map(|value| (key, value.into())));
    }

    /// Sets a key from the option, or from the first of the `variables` of LangGraph's own servers that is set.
    fn set_or(&mut self, key: &'static str, value: Option<impl Into<Value>>, variables: &[&str]) {
        match value {
            Some(value) => self.set(key, Some(value)),
            None => {
                self.set(key, variables.iter().find_map(|name| env::var(name).ok().filter(|text| !text.is_empty())))
            }
        }
    }

    /// Sets a key to the text of the file, if the option names one.
    fn set_from_file(&mut self, key: &'static str, option: &'static str, file: Option<PathBuf>) {
        self.files.extend(file.map(|file| (key, option, file)));
    }

    /// The files that hold secrets.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.files.iter().map(|(_, _, path)| path.clone()).collect()
    }

    pub(super) fn into_values(self) -> Result<Vec<(&'static str, Value)>, CommandError> {
        let Self { mut values, files } = self;
        for (key, option, path) in files {
            values.push((key, secret_file::read(option, &path)?.into()));
        }
        Ok(values)
    }
}

/// Options of every program.
#[derive(Debug, Args)]
pub(crate) struct CommonOptions {
    /// A file of settings, in TOML; see --print-settings.
    #[arg(long, env = "LANGOPEN_SETTINGS", value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
    /// Print all settings with their defaults and meanings.
    #[arg(long)]
    pub(crate) print_settings: bool,
    /// The format of log records on standard error [default: json if LOG_JSON is true, else text]. LOG_LEVEL or
    /// RUST_LOG sets the level.
    #[arg(long, env = "LANGOPEN_LOG_FORMAT", value_enum)]
    pub(crate) log_format: Option<LogFormat>,
}

/// The location of the shared data.
#[derive(Debug, Args)]
struct DataOptions {
    /// The Postgres that the platform's processes share [also: DATABASE_URI, POSTGRES_URI].
    #[arg(long, env = "LANGOPEN_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database: Option<String>,
    /// A file with the URL of --database. Unlike --database, it does not show the URL in process lists.
    #[arg(long, env = "LANGOPEN_DATABASE_URL_FILE", value_name = "FILE", conflicts_with = "database")]
    database_file: Option<PathBuf>,
    /// The same Postgres for wake-ups, with a URL that bypasses the pooler of --database.
    #[arg(long, env = "LANGOPEN_DATABASE_DIRECT_URL", value_name = "URL", hide_env_values = true)]
    database_direct: Option<String>,
    /// A file with the URL of --database-direct.
    #[arg(long, env = "LANGOPEN_DATABASE_DIRECT_URL_FILE", value_name = "FILE", conflicts_with = "database_direct")]
    database_direct_file: Option<PathBuf>,
    /// A Redis for wake-ups and streams; without one, Postgres carries both [also: REDIS_URI].
    #[arg(long, env = "LANGOPEN_REDIS_URL", value_name = "URL", hide_env_values = true)]
    redis: Option<String>,
    /// A file with the URL of --redis.
    #[arg(long, env = "LANGOPEN_REDIS_URL_FILE", value_name = "FILE", conflicts_with = "redis")]
    redis_file: Option<PathBuf>,
}

impl DataOptions {
    fn put(self, overrides: &mut Overrides) {
        overrides.set_or("database.url", self.database, &["DATABASE_URI", "POSTGRES_URI"]);
        overrides.set_from_file("database.url", "--database-file", self.database_file);
        overrides.set("database.direct_url", self.database_direct);
        overrides.set_from_file("database.direct_url", "--database-direct-file", self.database_direct_file);
        overrides.set_or("redis.url", self.redis, &["REDIS_URI"]);
        overrides.set_from_file("redis.url", "--redis-file", self.redis_file);
        overrides.set_or("redis.prefix", None::<String>, &["LANGOPEN_REDIS_PREFIX"]);
    }
}

/// How this process reaches runners.
#[derive(Debug, Args)]
struct RunnersOptions {
    /// The runners' URLs, separated by commas: organization/project/deployment=tcp://host:port, or tls://. A URL
    /// without a deployment means default/default/default.
    #[arg(long, env = "LANGOPEN_RUNNER_URLS", value_name = "URLS")]
    runner_urls: Option<String>,
    /// The token of the runners, if all of them run one deployment.
    #[arg(long, env = "LANGOPEN_RUNNER_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    runner_token: Option<String>,
    /// A file with the token of --runner-token. Process lists do not show it.
    #[arg(long, env = "LANGOPEN_RUNNER_TOKEN_FILE", value_name = "FILE", conflicts_with = "runner_token")]
    runner_token_file: Option<PathBuf>,
    /// The tokens of several deployments, separated by commas or newlines: organization/project/deployment=TOKEN.
    #[arg(long, env = "LANGOPEN_RUNNER_TOKENS", value_name = "TOKENS", hide_env_values = true)]
    runner_tokens: Option<String>,
    /// A file with the tokens of --runner-tokens.
    #[arg(long, env = "LANGOPEN_RUNNER_TOKENS_FILE", value_name = "FILE", conflicts_with = "runner_tokens")]
    runner_tokens_file: Option<PathBuf>,
    /// Trust all runners equally: all share one token, and a URL without a deployment accepts a runner of any
    /// deployment.
    #[arg(long, env = "LANGOPEN_SHARED_RUNNERS", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = clap::builder::BoolishValueParser::new())]
    shared_runners: Option<bool>,
    /// The CA of the certificates of tls:// runners, in PEM.
    #[arg(long, env = "LANGOPEN_RUNNER_CA", value_name = "FILE")]
    runner_ca: Option<String>,
    /// This process's client certificate, in PEM.
    #[arg(long, env = "LANGOPEN_RUNNER_CERT", value_name = "FILE")]
    runner_cert: Option<String>,
    /// The private key of that certificate.
    #[arg(long, env = "LANGOPEN_RUNNER_KEY", value_name = "FILE")]
    runner_key: Option<String>,
}

impl RunnersOptions {
    fn put(self, overrides: &mut Overrides) {
        overrides.set("runners.urls", self.runner_urls);
        overrides.set("runners.token", self.runner_token);
        overrides.set_from_file("runners.token", "--runner-token-file", self.runner_token_file);
        overrides.set("runners.tokens", self.runner_tokens);
        overrides.set_from_file("runners.tokens", "--runner-tokens-file", self.runner_tokens_file);
        overrides.set("runners.shared", self.shared_runners);
        overrides.set("runners.ca", self.runner_ca);
        overrides.set("runners.cert", self.runner_cert);
        overrides.set("runners.key", self.runner_key);
    }
}

/// Serve the Agent Server API of every deployment in --runner-urls.
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
    /// The deployment of requests that name none: organization/project/deployment.
    #[arg(long, env = "LANGOPEN_DEPLOYMENT", value_name = "NAME")]
    deployment: Option<String>,
    /// A file of API keys, in addition to the keys in the database.
    #[arg(long, env = "LANGOPEN_API_KEYS_FILE", value_name = "FILE")]
    api_keys: Option<String>,
    /// Whether deployments without a login of their own require an API key from every caller [default: if other
    /// machines reach the address].
    #[arg(long, env = "LANGOPEN_REQUIRE_API_KEYS", value_parser = ["auto", "always", "never"])]
    require_api_keys: Option<String>,
    /// How long requests in flight may continue after SIGTERM, in seconds.
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

/// Claim runs and send them to runners; fire crons, deliver webhooks, remove expired data.
#[derive(Debug, Parser)]
#[command(name = "langopen-worker", version)]
pub(crate) struct WorkerOptions {
    #[command(flatten)]
    pub(crate) common: CommonOptions,
    #[command(flatten)]
    data: DataOptions,
    #[command(flatten)]
    runners: RunnersOptions,
    /// The address for health and metrics.
    #[arg(long, env = "LANGOPEN_HOST", value_name = "ADDRESS")]
    host: Option<String>,
    /// The port for health and metrics; 0 takes a free one.
    #[arg(long, short, env = "LANGOPEN_PORT")]
    port: Option<u16>,
    /// The number of runs to execute at once [also: N_JOBS_PER_WORKER].
    #[arg(long, env = "LANGOPEN_JOBS", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// The length of a lease, in seconds. If a worker stops renewing a lease, another worker takes over the run when it
    /// ends.
    #[arg(long, env = "LANGOPEN_LEASE_SECONDS", value_name = "SECONDS")]
    lease_seconds: Option<f64>,
    /// The longest duration of a run, in seconds [also: BG_JOB_TIMEOUT_SECS].
    #[arg(long, env = "LANGOPEN_JOB_TIMEOUT_SECONDS", value_name = "SECONDS")]
    job_timeout_seconds: Option<u32>,
    /// How often a run is retried when the platform, not its graph, fails [also: BG_JOB_MAX_RETRIES].
    #[arg(long, env = "LANGOPEN_JOB_MAX_RETRIES", value_name = "NUMBER")]
    job_max_retries: Option<u32>,
    /// How long runs in flight may continue after SIGTERM, in seconds [also: BG_JOB_SHUTDOWN_GRACE_PERIOD_SECS].
    #[arg(long, env = "LANGOPEN_GRACE_SECONDS", value_name = "SECONDS")]
    grace_seconds: Option<u32>,
    /// Whether the worker fires crons [also: FF_CRONS_ENABLED].
    #[arg(long, env = "LANGOPEN_CRONS", action = ArgAction::Set, value_parser = clap::builder::BoolishValueParser::new())]
    crons: Option<bool>,
    /// Whether the worker delivers webhooks.
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

/// Run the graphs of one deployment for workers and API servers. User code runs only here, without access to data
/// stores.
#[derive(Debug, Parser)]
#[command(name = "langopen-runner", version)]
pub(crate) struct RunnerOptions {
    #[command(flatten)]
    pub(crate) common: CommonOptions,
    /// The application's langgraph.json.
    #[arg(long, short, env = "LANGOPEN_CONFIG", value_name = "FILE")]
    config: Option<String>,
    /// The deployment that this runner serves: organization/project/deployment.
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
    /// The number of graph hosts, the processes that execute the graphs.
    #[arg(long, env = "LANGOPEN_HOSTS", value_parser = clap::value_parser!(u16).range(1..=256))]
    hosts: Option<u16>,
    /// The folder of Python environments and the host program [default: .langopen beside the config].
    #[arg(long, env = "LANGOPEN_DATA", value_name = "DIR")]
    data: Option<String>,
    /// The folder of Python environments, which applications can share [default: environments in the data folder].
    #[arg(long, env = "LANGOPEN_CACHE_DIR", value_name = "DIR")]
    cache_dir: Option<String>,
    /// The Python interpreter of the environment [default: the first one found that fits].
    #[arg(long, env = "LANGOPEN_PYTHON", value_name = "FILE")]
    python: Option<String>,
    /// The API's address, for use by runs.
    #[arg(long, env = "LANGOPEN_API_URL", value_name = "URL")]
    api_url: Option<String>,
    /// The token that clients must send. Give each deployment its own token.
    #[arg(long, env = "LANGOPEN_RUNNER_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A file with the token of --token. Process lists do not show it.
    #[arg(long, env = "LANGOPEN_RUNNER_TOKEN_FILE", value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// Restrict graph hosts from reading the data folder and other processes [default: auto, if the kernel has
    /// Landlock].
    #[arg(long, env = "LANGOPEN_SANDBOX", value_parser = ["auto", "off", "require"], value_name = "MODE")]
    sandbox: Option<String>,
    /// The runner's certificate, in PEM.
    #[arg(long, env = "LANGOPEN_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<String>,
    /// The private key of the certificate.
    #[arg(long, env = "LANGOPEN_TLS_KEY", value_name = "FILE")]
    tls_key: Option<String>,
    /// The CA that must have issued the clients' certificates.
    #[arg(long, env = "LANGOPEN_TLS_CLIENT_CA", value_name = "FILE")]
    tls_client_ca: Option<String>,
    /// How long runs in flight may continue after SIGTERM, in seconds [also: BG_JOB_SHUTDOWN_GRACE_PERIOD_SECS].
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
        overrides.set_from_file("runner.token", "--token-file", self.token_file);
        overrides.set("runner.sandbox", self.sandbox);
        overrides.set("runner.tls_cert", self.tls_cert);
        overrides.set("runner.tls_key", self.tls_key);
        overrides.set("runner.tls_client_ca", self.tls_client_ca);
        overrides.set_or("runner.grace_seconds", self.grace_seconds, &["BG_JOB_SHUTDOWN_GRACE_PERIOD_SECS"]);
        overrides
    }
}
