//! What can be wrong with a configuration file, told to the person who wrote it.

use std::fmt;
use std::path::PathBuf;

/// Why a `langgraph.json` (or the env file that it names) cannot be used.
///
/// Every message names the file, the place in it, what was found there and what to do. Messages never hold values of
/// environment variables.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no such file.
    #[error(
        "{}: there is no such file. Create it, or name another one with --config.",
        path.display()
    )]
    Missing {
        /// The file that was looked for.
        path: PathBuf,
    },
    /// The file is there and cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not JSON.
    #[error("{}:{line}:{column}: this is not valid JSON: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What the parser expected, with a hint where one is known.
        message: String,
    },
    /// The file is JSON, and some of its keys or values are wrong. All of them are listed.
    #[error("{}", list(path, problems))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// At least one, in the order in which the keys were checked.
        problems: Vec<Problem>,
    },
    /// The env file that `env` names is missing.
    #[error(
        "{}: `env`: the file {} does not exist. Create it, or remove the key `env`.",
        config.display(), path.display()
    )]
    EnvFileMissing {
        /// The configuration file.
        config: PathBuf,
        /// The env file, resolved.
        path: PathBuf,
    },
    /// A line of the env file is not `NAME=value`.
    #[error(
        "{}{}: this line is not of the form NAME=value. Put a value with spaces or special characters in quotes.",
        path.display(), line.map(|line| format!(":{line}")).unwrap_or_default()
    )]
    EnvFileSyntax {
        /// The env file, resolved.
        path: PathBuf,
        /// Counted from 1; absent when the parser did not say.
        line: Option<usize>,
    },
}

/// One wrong key or value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: the keys from the top of the file, joined by dots; list positions in brackets, from 0.
    pub key: String,
    /// What was found, and what is allowed there.
    pub message: String,
    /// What to do: one sentence or more.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}. {}", self.key, self.message, self.remedy)
    }
}

fn list(path: &std::path::Path, problems: &[Problem]) -> String {
    match problems {
        [only] => format!("{}: {only}", path.display()),
        _ => {
            let lines: Vec<String> = problems.iter().map(|problem| format!("\n  - {problem}")).collect();
            format!("{}: {} problems:{}", path.display(), problems.len(), lines.concat())
        }
    }
}
