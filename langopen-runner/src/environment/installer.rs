//! Chooses the tool that installs packages, and builds its calls.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::command::Tool;
use super::error::EnvironmentError;
use super::inputs::Inputs;
use super::python::Interpreter;
use crate::config::{AppConfig, PipInstaller};

/// The tool that installs packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Installer {
    Pip,
    Uv(PathBuf),
}

impl Installer {
    /// Chooses the installer. `wish` comes from the caller and overrides the configuration.
    pub(super) fn choose(
        config: &AppConfig,
        wish: Option<PipInstaller>,
        uv: Option<&Path>,
    ) -> Result<Self, EnvironmentError> {
        let uv = uv.map(Path::to_owned);
        match wish.unwrap_or(config.packaging.pip_installer) {
            PipInstaller::Pip => Ok(Self::Pip),
            PipInstaller::Uv => {
                let key = if wish.is_some() { "the installer option" } else { "`pip_installer`" };
                uv.map(Self::Uv).ok_or_else(|| EnvironmentError::UvMissing { key: key.to_owned() })
            }
            PipInstaller::Auto if config.packaging.pip_config_file.is_some() || pip_is_configured() => Ok(Self::Pip),
            PipInstaller::Auto => Ok(uv.map_or(Self::Pip, Self::Uv)),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Pip => "pip",
            Self::Uv(_) => "uv",
        }
    }

    /// The call that makes an empty environment at `path`.
    pub(super) fn create(&self, python: &Interpreter, path: &Path, folder: &Path) -> Tool {
        let what = "Creating the Python environment";
        match self {
            Self::Pip => Tool::new(what, &python.path, folder).args(["-I", "-m", "venv"]).args([path]),
            Self::Uv(uv) => Tool::new(what, uv, folder)
                .args(["venv", "--no-project", "--color", "never", "--no-progress", "--python"])
                .args([python.path.as_os_str(), path.as_os_str()]),
        }
    }

    /// The single call that installs everything, so that all versions are compatible. `lists` are further requirements
    /// files.
    pub(super) fn install(
        &self,
        python: &Path,
        inputs: &Inputs,
        lists: &[PathBuf],
        constraints: Option<&Path>,
    ) -> Tool {
        let what = "Installing the packages";
        let tool = match self {
            Self::Pip => Tool::new(what, python, &inputs.working_dir).args([
                "-m",
                "pip",
                "install",
                "--no-input",
                "--disable-pip-version-check",
                "--progress-bar",
                "off",
            ]),
            Self::Uv(uv) => Tool::new(what, uv, &inputs.working_dir)
                // pip compiles bytecode by itself. Without bytecode, each start of a host compiles the packages again
                // if the host may not write into the environment.
                .args(["pip", "install", "--compile-bytecode", "--color", "never", "--no-progress", "--python"])
                .args([python]),
        };
        let pair = |option: &str, value: OsString| [OsString::from(option), value];
        tool.args(constraints.into_iter().flat_map(|path| pair("-c", path.into())))
            .args(inputs.requirement_files.iter().chain(lists).flat_map(|path| pair("-r", path.into())))
            .args(inputs.editable.iter().flat_map(|path| pair("-e", path.into())))
            .args(&inputs.packages)
    }
}

// uv does not read pip's settings, so if pip has settings, pip installs.
fn pip_is_configured() -> bool {
    let set = |names: &[&str]| names.iter().any(|name| std::env::var_os(name).is_some());
    set(&["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX", "PIP_CONFIG_FILE"])
        && !set(&["UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_NO_INDEX"])
}
