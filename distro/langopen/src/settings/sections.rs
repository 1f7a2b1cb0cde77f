//! The sections of the settings. The defaults file documents each setting.

use std::net::IpAddr;
use std::path::PathBuf;

use langopen_runner::config::Secret;
use serde::{Deserialize, Deserializer};

use crate::isolation::SandboxMode;

/// The settings of all programs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) database: DatabaseSettings,
    pub(crate) redis: RedisSettings,
    pub(crate) runners: RunnersSettings,
    pub(crate) api: ApiSettings,
    pub(crate) worker: WorkerSection,
    pub(crate) runner: RunnerSettings,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DatabaseSettings {
    #[serde(deserialize_with = "given")]
    pub(crate) url: Option<Secret>,
    #[serde(deserialize_with = "given")]
    pub(crate) direct_url: Option<Secret>,
    pub(crate) connections: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedisSettings {
    #[serde(deserialize_with = "given")]
    pub(crate) url: Option<Secret>,
    pub(crate) prefix: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunnersSettings {
    pub(crate) urls: String,
    #[serde(deserialize_with = "given")]
    pub(crate) token: Option<Secret>,
    #[serde(deserialize_with = "given")]
    pub(crate) tokens: Option<Secret>,
    pub(crate) shared: bool,
    #[serde(deserialize_with = "given")]
    pub(crate) ca: Option<PathBuf>,
    #[serde(deserialize_with = "given")]
    pub(crate) cert: Option<PathBuf>,
    #[serde(deserialize_with = "given")]
    pub(crate) key: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiSettings {
    pub(crate) host: IpAddr,
    pub(crate) port: u16,
    #[serde(deserialize_with = "given")]
    pub(crate) deployment: Option<String>,
    #[serde(deserialize_with = "given")]
    pub(crate) api_keys: Option<PathBuf>,
    pub(crate) require_api_keys: RequireApiKeys,
    pub(crate) crons: bool,
    pub(crate) max_body_bytes_in_flight: usize,
    pub(crate) write_timeout_seconds: u64,
    pub(crate) grace_seconds: u64,
    pub(crate) metric_prefix: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WorkerSection {
    pub(crate) host: IpAddr,
    pub(crate) port: u16,
    pub(crate) jobs: u16,
    pub(crate) lease_seconds: f64,
    pub(crate) job_timeout_seconds: u64,
    pub(crate) job_max_retries: u32,
    pub(crate) grace_seconds: u64,
    pub(crate) crons: bool,
    pub(crate) webhooks: bool,
    #[serde(deserialize_with = "given")]
    pub(crate) api_url: Option<String>,
    pub(crate) thread_sweep_seconds: u64,
    pub(crate) thread_sweep_limit: u32,
    pub(crate) item_sweep_seconds: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunnerSettings {
    pub(crate) host: IpAddr,
    pub(crate) port: u16,
    pub(crate) health_port: u16,
    pub(crate) config: PathBuf,
    pub(crate) deployment: String,
    pub(crate) hosts: u16,
    #[serde(deserialize_with = "given")]
    pub(crate) data: Option<PathBuf>,
    #[serde(deserialize_with = "given")]
    pub(crate) cache_dir: Option<PathBuf>,
    #[serde(deserialize_with = "given")]
    pub(crate) python: Option<PathBuf>,
    #[serde(deserialize_with = "given")]
    pub(crate) api_url: Option<String>,
    #[serde(deserialize_with = "given")]
    pub(crate) token: Option<Secret>,
    #[serde(deserialize_with = "given")]
    pub(crate) tls_cert: Option<PathBuf>,
    #[serde(deserialize_with = "given")]
    pub(crate) tls_key: Option<PathBuf>,
    #[serde(deserialize_with = "given")]
    pub(crate) tls_client_ca: Option<PathBuf>,
    pub(crate) sandbox: SandboxMode,
    pub(crate) grace_seconds: u64,
    /// The files with secrets from which the settings were read.
    #[serde(skip)]
    pub(crate) secret_files: Vec<PathBuf>,
}

/// Whether deployments without a login of their own require an API key from every caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RequireApiKeys {
    Auto,
    Always,
    Never,
}

/// `None` for an empty text.
fn given<'de, D: Deserializer<'de>, T: From<String>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok((!text.trim().is_empty()).then(|| T::from(text)))
}
