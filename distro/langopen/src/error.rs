//! The errors of commands, and what to do about them.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use langopen_core::Tenant;
use langopen_runner::config::{ConfigError, Unsupported};
use langopen_runner::environment::EnvironmentError;
use langopen_runner::{HostError, RunnerError, RunnerSetError, TlsError};

use crate::import::ImportError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("the settings cannot be used: {why}")]
    Settings { why: String },
    #[error("{name} cannot be used: {why}")]
    Setting { name: &'static str, why: String },
    #[error("{} asks for features that are not available yet:\n{}", path.display(), lines(found))]
    Unsupported { path: PathBuf, found: Vec<Unsupported> },
    #[error("cannot read API keys from {}: {why}", path.display())]
    KeysFile { path: PathBuf, why: String },
    #[error("the key's record cannot be written: {0}")]
    WriteKey(String),
    #[error("{name} cannot be read from {}: {why}", path.display())]
    SecretFile { name: &'static str, path: PathBuf, why: String },
    #[error("--sandbox require: this kernel has no Landlock, or it is turned off")]
    NoSandbox,
    #[error("there is no database {}", path.display())]
    NoDatabase { path: PathBuf },
    #[error("there is no deployment {0}")]
    NoDeployment(Tenant),
    #[error("there is no API key {0}")]
    NoKey(String),
    #[error("cannot write the answer: {0}")]
    Answer(#[from] serde_json::Error),
    #[error("the object that auth.path names has no authenticate handler, so it would refuse every request")]
    NoAuthenticateHandler,
    #[error("cannot use the data folder {}: {source}", path.display())]
    DataFolder { path: PathBuf, source: io::Error },
    #[error("the data folder {} is in use by another langopen process", path.display())]
    DataFolderInUse { path: PathBuf },
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("{0}")]
    Environment(#[from] EnvironmentError),
    #[error("{0}")]
    Host(#[from] HostError),
    #[error("{0}")]
    Runner(#[from] RunnerError),
    #[error("{0}")]
    Tls(#[from] TlsError),
    #[error("{0}")]
    Runners(#[from] RunnerSetError),
    #[error("{0}")]
    Core(#[from] langopen_core::Error),
    #[error("{0}")]
    Import(#[from] ImportError),
    #[error("cannot gather metrics: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    #[error("cannot listen for signals: {0}")]
    Signals(io::Error),
}

fn lines(found: &[Unsupported]) -> String {
    found.iter().map(|each| format!("  - {each}")).collect::<Vec<_>>().join("\n")
}

impl CommandError {
    /// What to do, unless the message already says it.
    pub(crate) fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Settings { .. } => Some("--print-settings shows all settings with their meanings"),
            Self::Runner(RunnerError::Unprotected(_)) => {
                Some("set --token, or --tls-cert, --tls-key and --tls-client-ca")
            }
            Self::Runners(RunnerSetError::SharedToken(..)) => {
                Some("name the tokens in --runner-tokens-file, or trust all runners equally with --shared-runners")
            }
            Self::NoSandbox => Some("use a kernel of version 5.19 or newer with Landlock, or --sandbox auto"),
            Self::NoDatabase { .. } => {
                Some("name the data folder of `langopen up` with --data, or a database with --database")
            }
            Self::NoDeployment(_) => {
                Some("`langopen deployments list` shows the deployments, `langopen deployments set NAME` creates one")
            }
            Self::NoKey(_) => Some("`langopen keys list` shows the keys"),
            Self::KeysFile { .. } => Some("create a record with `langopen keys new --name NAME`"),
            Self::NoAuthenticateHandler => {
                Some("decorate a function with @auth.authenticate, or admit bearers of API keys with --api-keys")
            }
            Self::DataFolder { .. } => Some("choose a folder that this user may write to with --data"),
            Self::DataFolderInUse { .. } => Some("stop the other process, or choose another folder with --data"),
            Self::Import(error) => error.remedy(),
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                Some("stop the program that uses the port, or choose another one with --port")
            }
            Self::Host(HostError::Load(failure)) if failure.error == "ModuleNotFoundError" => Some(
                "name the package that brings the module in the application's dependencies (langgraph.json, pyproject.toml, requirements.txt or package.json)",
            ),
            Self::Listen { .. } => Some("choose another address with --host or another port with --port"),
            _ => None,
        }
    }
}
