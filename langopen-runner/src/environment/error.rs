//! Errors of making environments.

use std::path::PathBuf;

use crate::config::PythonVersion;

/// Why an environment could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvironmentError {
    /// No interpreter on this machine is suitable.
    #[error("{}", no_python(*wanted, requires, seen))]
    NoPython {
        /// The version in `python_version`; absent: any that can run graphs.
        wanted: Option<PythonVersion>,
        /// The ranges in `requires-python` of the application's projects, and their files.
        requires: Vec<(String, PathBuf)>,
        /// The candidates, and the reason why each is unsuitable.
        seen: Vec<String>,
    },
    /// The configuration requires uv, which is not on PATH.
    #[error("{key} asks for uv, but uv is not on PATH. Install it (https://docs.astral.sh/uv/), or change {key}.")]
    UvMissing {
        /// The key or option that requires it.
        key: String,
    },
    /// `source` names a folder without a lock file.
    #[error("`source.root`: {} does not exist. Run `uv lock` in {}.", path.display(), root.display())]
    LockFileMissing {
        /// The lock file.
        path: PathBuf,
        /// Its folder.
        root: PathBuf,
    },
    /// No node on this machine is suitable.
    #[error("{}", no_node(*wanted, seen))]
    NoNode {
        /// The required major version; absent: any that can run graphs.
        wanted: Option<u32>,
        /// The candidates, and the reason why each is unsuitable.
        seen: Vec<String>,
    },
    /// The application has JavaScript graphs but no `package.json`.
    #[error(
        "{} and the folders above it have no package.json, which JavaScript and TypeScript graphs need: it names the packages that they \
         import, @langchain/langgraph among them. Make one with `npm init`, and `npm install @langchain/langgraph @langchain/core`.",
        folder.display()
    )]
    PackageJsonMissing {
        /// The application's folder.
        folder: PathBuf,
    },
    /// The application has JavaScript packages but no lock file.
    #[error(
        "{}: there is no lock file beside it (package-lock.json, npm-shrinkwrap.json, pnpm-lock.yaml or yarn.lock), so the \
         graphs' package versions are unknown. Run `npm install` (or pnpm, or yarn) in {} and keep the file that it writes.",
        package_json.display(), package_json.parent().unwrap_or(std::path::Path::new(".")).display()
    )]
    NodeLockFileMissing {
        /// The file that lists the packages.
        package_json: PathBuf,
    },
    /// The package manager of a lock file is missing.
    #[error("{} is for {name}, but {name} is not on PATH. Install it ({install}).", lock.display())]
    PackageManagerMissing {
        /// npm, pnpm or yarn.
        name: &'static str,
        /// The lock file, or the package file to install.
        lock: PathBuf,
        /// The installation instructions.
        install: &'static str,
    },
    /// A `pyproject.toml` cannot be parsed.
    #[error("{}: this is not a valid pyproject.toml: {message}", path.display())]
    Project {
        /// The file.
        path: PathBuf,
        /// The parser's message, with line and column.
        message: String,
    },
    /// A file or folder could not be read or written.
    #[error("{}: {what}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The attempted operation.
        what: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
    /// A tool failed.
    #[error(transparent)]
    Tool(Box<ToolFailure>),
}

/// The details of a tool that failed. Credentials in URLs are hidden.
#[derive(Debug, thiserror::Error)]
#[error(
    "{what} failed ({status}). {remedy}\n  command: {command}\n  folder: {}\n  output:\n{}",
    folder.display(), indented(output)
)]
pub struct ToolFailure {
    /// The tool's purpose.
    pub what: String,
    /// How the tool ended.
    pub status: String,
    /// The remedy.
    pub remedy: String,
    /// The command line.
    pub command: String,
    /// The working directory.
    pub folder: PathBuf,
    /// Both outputs, in order.
    pub output: String,
}

impl EnvironmentError {
    pub(super) fn io(path: &std::path::Path, what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), what, source }
    }
}

fn no_python(wanted: Option<PythonVersion>, requires: &[(String, PathBuf)], seen: &[String]) -> String {
    let (mut name, mut example) = match wanted {
        Some(version) => (format!("Python {version}"), version.to_string()),
        None => ("Python 3.11 or newer".to_owned(), "3.12".to_owned()),
    };
    for (range, file) in requires {
        name = format!("{name}, with {range} as {} requires,", file.display());
    }
    if let (None, [(range, _), ..]) = (wanted, requires) {
        example = format!("'{range}'");
    }
    let tried = match seen {
        [] => " There is no Python on PATH at all. ".to_owned(),
        _ => format!(" Tried:{}\n", seen.iter().map(|line| format!("\n  - {line}")).collect::<String>()),
    };
    let other = if wanted.is_some() { ", or change `python_version` in langgraph.json" } else { "" };
    format!(
        "{name} was not found.{tried}Install it (for instance `uv python install {example}`), name an interpreter \
         with --python{other}."
    )
}

fn no_node(wanted: Option<u32>, seen: &[String]) -> String {
    let name =
        wanted.map_or_else(|| "Node.js 20.11 or newer".to_owned(), |version| format!("Node.js {version} or newer"));
    let tried = match seen {
        [] => " There is no node on PATH at all. ".to_owned(),
        _ => format!(" Tried:{}\n", seen.iter().map(|line| format!("\n  - {line}")).collect::<String>()),
    };
    format!("{name} was not found, which JavaScript and TypeScript graphs need.{tried}Install it (https://nodejs.org).")
}

fn indented(output: &str) -> String {
    if output.trim().is_empty() {
        return "    (none)".to_owned();
    }
    output.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
