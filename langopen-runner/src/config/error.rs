//! Problems of a configuration file, as messages for its author.

use std::fmt;
use std::path::PathBuf;

/// Why a `langgraph.json` (or the env file that it names) cannot be used.
///
/// Every message names the file, the key or line, the value found and the remedy. No message contains the value of an
/// environment variable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file does not exist.
    #[error(
        "{}: there is no such file. Create it, or name another one with --config.",
        path.display()
    )]
    Missing {
        /// The expected path of the file.
        path: PathBuf,
    },
    /// The file exists but cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
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
        /// The parser's message, with a hint if one is known.
        message: String,
    },
    /// The file is JSON, but some of its keys or values are wrong. The message lists all of them.
    #[error("{}", list(path, problems))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// At least one, in the order in which the keys were checked.
        problems: Vec<Problem>,
    },
}

/// One wrong key or value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The path of the key: the keys from the top of the file, joined by dots, with list positions in brackets, from 0.
    pub key: String,
    /// What was found, and which values are allowed.
    pub message: String,
    /// The remedy, in one sentence or more.
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
