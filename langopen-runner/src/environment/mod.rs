//! The environments of an application: their packages, and how they are installed.
//!
//! An [`EnvironmentPlan`] lists the needs of an application and has a fingerprint. [`EnvironmentPlan::ensure`] makes
//! the environment below the cache folder, under a lock. If the environment is already complete, it starts no process.
//!
//! The interpreter must satisfy `python_version`, and `requires-python` of the application's projects. Installation
//! runs code of the packages, so tools start with only the variables of [`Inherited`].
//!
//! - A folder with `pyproject.toml` or `setup.py` is installed in editable mode, so that changes of its code take
//!   effect.
//! - A folder's `requirements.txt` is installed.
//! - Any other folder is added to the search path, with its `src` folder, and with its parent if it is itself a
//!   package.
//! - One call of the installer installs everything, so that all versions are compatible.
//!
//! JavaScript and TypeScript have environments of their own; see [`NodePlan`].
//!
//! Environments cannot be moved, so each is built at its final path. The last step writes a marker, which identifies
//! complete environments.

mod build;
mod cache;
mod command;
mod diagnose;
mod error;
mod hash;
mod inputs;
mod installer;
mod node;
mod progress;
mod project;
mod python;
mod redact;
mod remember;
mod requirements;
mod requires;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use crate::config::{AppConfig, PipInstaller};
use crate::host::Surroundings;
use crate::inherited::{Inherited, Withheld};
use crate::sandbox::Sandbox;

pub use error::{EnvironmentError, ToolFailure};
pub use node::{NodeEnvironment, NodePlan};
pub use progress::Progress;

use cache::Marker;
use inputs::Inputs;
use installer::Installer;
use python::{Interpreter, Wanted};

/// The package that graph hosts require in every environment. It brings langchain-core, langgraph-sdk, orjson and
/// ormsgpack.
pub const HOST_REQUIREMENT: &str = "langgraph>=0.6";

/// How to make environments, for any application.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder of environments; created if missing.
    pub cache_dir: PathBuf,
    /// The interpreter to use; absent: the first suitable one on the machine.
    pub python: Option<PathBuf>,
    /// The node to use; absent: the one on PATH.
    pub node: Option<PathBuf>,
    /// Overrides the application's `pip_installer`.
    pub installer: Option<PipInstaller>,
    /// Lines of a constraints file: `langgraph<2`.
    pub constraints: Vec<String>,
    /// Requirements in addition to the application's. The default is [`HOST_REQUIREMENT`].
    pub host_requirements: Vec<String>,
    /// The only variables that installers start with.
    pub inherited: Inherited,
    /// The sandbox of installers; `None` for no restriction.
    pub sandbox: Option<Sandbox>,
}

impl Options {
    /// The default options, with environments in `cache_dir`.
    #[must_use]
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        Self {
            cache_dir: cache_dir.into(),
            python: None,
            node: None,
            installer: None,
            constraints: Vec::new(),
            host_requirements: vec![HOST_REQUIREMENT.to_owned()],
            inherited: Inherited::of_process(&Withheld::default()),
            sandbox: None,
        }
    }
}

impl Options {
    /// The surroundings of installers: their variables and their sandbox.
    fn surroundings(&self) -> Surroundings {
        Surroundings { inherited: self.inherited.clone(), sandbox: self.sandbox.clone(), temp_dir: None }
    }
}

/// The inputs of an application's Python environment.
#[derive(Debug)]
pub struct EnvironmentPlan {
    inputs: Inputs,
    python: Interpreter,
    installer: Installer,
    uv: Option<PathBuf>,
    pip_config_file: Option<PathBuf>,
    surroundings: Surroundings,
    cache_dir: PathBuf,
    hash: String,
}

/// A finished Python environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// The interpreter in the environment.
    pub python: PathBuf,
    /// Folders with code of the application, in the order in which Python should search them. Folders of installed
    /// packages come last; they belong after the environment's own packages.
    pub search_path: Vec<PathBuf>,
    /// The folder of installed packages.
    pub site: PathBuf,
    /// Whether this call made the environment.
    pub fresh: bool,
}

impl EnvironmentPlan {
    /// Finds the interpreter and the installer, and reads the inputs of the fingerprint.
    ///
    /// # Errors
    ///
    /// `EnvironmentError` if no interpreter is suitable, a required uv is missing, or a project file is unreadable.
    pub async fn new(config: &AppConfig, options: Options) -> Result<Self, EnvironmentError> {
        let uv = which::which("uv").ok();
        Self::with_uv(config, options, uv).await
    }

    async fn with_uv(config: &AppConfig, options: Options, uv: Option<PathBuf>) -> Result<Self, EnvironmentError> {
        let cache_dir = std::path::absolute(&options.cache_dir)
            .map_err(EnvironmentError::io(&options.cache_dir, "cannot be made absolute"))?;
        let inputs = Inputs::collect(config, &options)?;
        if inputs.source.is_some() && uv.is_none() {
            return Err(EnvironmentError::UvMissing { key: "`source`".into() });
        }
        let installer = Installer::choose(config, options.installer, uv.as_deref())?;
        let wanted = Wanted {
            version: config.packaging.python_version,
            requires: &inputs.requires,
            explicit: options.python.as_deref(),
            uv: uv.as_deref(),
            needs_venv: installer == Installer::Pip,
            inherited: &options.inherited,
        };
        let python = remember::find(&wanted, &cache_dir).await?;
        let hash = hash::of(&inputs, &python, &installer);
        let pip_config_file = config.packaging.pip_config_file.clone();
        let surroundings = options.surroundings();
        Ok(Self { inputs, python, installer, uv, pip_config_file, surroundings, cache_dir, hash })
    }

    /// The fingerprint: 32 hexadecimal digits. It is also the name of the environment's folder.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The environment's folder.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.cache_dir.join(&self.hash)
    }

    /// The base interpreter of the environment, and its version.
    #[must_use]
    pub fn interpreter(&self) -> (&Path, &str) {
        (&self.python.path, &self.python.version)
    }

    /// Makes the environment unless it is complete. `progress` receives every step and every output line of the tools.
    ///
    /// Dropping the future kills the tools; the next call removes the incomplete environment.
    ///
    /// # Errors
    ///
    /// `EnvironmentError` if a tool fails or the cache folder cannot be written.
    pub async fn ensure(&self, progress: impl Fn(Progress) + Send + Sync) -> Result<Environment, EnvironmentError> {
        let path = self.path();
        if let Some(marker) = Marker::read(&path) {
            return Ok(self.environment(marker, false));
        }
        tokio::fs::create_dir_all(&self.cache_dir)
            .await
            .map_err(EnvironmentError::io(&self.cache_dir, "cannot be made"))?;
        let _lock = cache::lock(&self.cache_dir.join(format!("{}.lock", self.hash)), &progress).await?;
        // Another process may have made the environment while this one waited for the lock.
        if let Some(marker) = Marker::read(&path) {
            return Ok(self.environment(marker, false));
        }
        let marker = build::build(self, &path, &progress).await?;
        Ok(self.environment(marker, true))
    }

    fn environment(&self, marker: Marker, fresh: bool) -> Environment {
        Environment { python: marker.python, search_path: self.inputs.search_path.clone(), site: marker.site, fresh }
    }
}
