//! The keys for Python packages: `python_version`, `pip_*`, `source`.

use std::fmt;
use std::path::PathBuf;

use super::section::Section;

/// A minor version of Python, such as 3.12.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PythonVersion {
    /// The major version, 3.
    pub major: u32,
    /// The minor version, 11 or newer.
    pub minor: u32,
}

/// The oldest Python that can run graphs.
pub const OLDEST_PYTHON: PythonVersion = PythonVersion { major: 3, minor: 11 };

impl fmt::Display for PythonVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The value of `pip_installer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PipInstaller {
    /// uv if it is installed, otherwise pip.
    #[default]
    Auto,
    /// Always pip.
    Pip,
    /// Always uv.
    Uv,
}

/// The value of `source`: packages come from a lock file of uv.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UvSource {
    /// The absolute path of the folder of `uv.lock`.
    pub root: PathBuf,
    /// The workspace member to install; the root's own project if absent.
    pub package: Option<String>,
}

/// Which packages to install, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PackagingConfig {
    /// The wanted Python version; absent: any from [`OLDEST_PYTHON`] on.
    pub python_version: Option<PythonVersion>,
    /// The absolute path of a configuration file of pip. It exists.
    pub pip_config_file: Option<PathBuf>,
    /// The installer.
    pub pip_installer: PipInstaller,
    /// The lock file with the packages.
    pub source: Option<UvSource>,
}

pub(super) fn read(section: &Section<'_>) -> PackagingConfig {
    PackagingConfig {
        python_version: python_version(section),
        pip_config_file: pip_config_file(section),
        pip_installer: section
            .choice(
                "pip_installer",
                &[("auto", PipInstaller::Auto), ("pip", PipInstaller::Pip), ("uv", PipInstaller::Uv)],
            )
            .unwrap_or_default(),
        source: section.section("source", source).flatten(),
    }
}

fn python_version(section: &Section<'_>) -> Option<PythonVersion> {
    let text = section.text("python_version")?;
    // A suffix names the variant of an image, as in "3.12-bookworm".
    let version = text.split('-').next().and_then(|version| {
        let (major, minor) = version.split_once('.')?;
        Some(PythonVersion { major: major.parse().ok()?, minor: minor.parse().ok()? })
    });
    let remedy = "Write \"3.11\", \"3.12\", \"3.13\" or \"3.14\".";
    match version {
        _ if text.contains("bullseye") => {
            let message = format!("found {text:?}, but images of Debian bullseye are not made any more");
            section.context.report("python_version", message, "Write \"bookworm\", or the version alone.");
        }
        None => {
            let message = format!("found {text:?}, expected a major and a minor version");
            section.context.report("python_version", message, remedy);
        }
        Some(found) if found < OLDEST_PYTHON || found.major != OLDEST_PYTHON.major => {
            let message = format!("Python {found} is not supported, the oldest is {OLDEST_PYTHON}");
            section.context.report("python_version", message, remedy);
        }
        Some(_) => return version,
    }
    None
}

fn pip_config_file(section: &Section<'_>) -> Option<PathBuf> {
    let written = section.text("pip_config_file")?;
    let path = super::paths::resolve(section.context.base_dir, &written);
    if !path.is_file() {
        let message = format!("found {written:?}, but the file {} does not exist", path.display());
        let remedy = "Correct the path; it starts at the folder of the configuration file.";
        section.context.report("pip_config_file", message, remedy);
        return None;
    }
    Some(path)
}

fn source(section: &Section<'_>) -> Option<UvSource> {
    if section.get("kind").is_none() {
        section.context.report("source", "the key `kind` is missing", "Add \"kind\": \"uv\".");
    }
    let kind = section.choice("kind", &[("uv", ())]);
    let written = section.text("root").unwrap_or_else(|| ".".into());
    let package = section.text("package");
    let root = super::paths::resolve(section.context.base_dir, &written);
    if !root.is_dir() {
        let message = format!("found {written:?}, but the folder {} does not exist", root.display());
        let remedy = "Name the folder of uv.lock; the path starts at the folder of the configuration file.";
        section.context.report(section.key("root"), message, remedy);
        return None;
    }
    kind.map(|()| UvSource { root, package })
}
