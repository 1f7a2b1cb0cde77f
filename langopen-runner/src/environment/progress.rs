//! What is going on while an environment is made.

use std::fmt;
use std::path::PathBuf;

/// One step, or one line that a tool printed. `Display` gives a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// Another process makes the same environment.
    Waiting,
    /// An environment that was not finished is removed.
    Removing(PathBuf),
    /// An empty environment is made.
    Creating {
        /// The interpreter and its version.
        python: String,
        /// `uv` or `pip`.
        installer: &'static str,
        /// Where.
        path: PathBuf,
    },
    /// The lock file is turned into a list of packages.
    ReadingLockFile(PathBuf),
    /// Packages are installed.
    Installing {
        /// How many requirements; each may bring others.
        count: usize,
    },
    /// The packages of a JavaScript application are installed.
    InstallingPackages {
        /// The package manager.
        manager: &'static str,
        /// Where.
        folder: PathBuf,
    },
    /// The packages of the node program are installed.
    InstallingHost(PathBuf),
    /// A line that a tool printed, without credentials.
    Output(String),
    /// Something that the user should know.
    Note(String),
}

/// Who hears of progress.
pub(super) type Listener<'a> = &'a (dyn Fn(Progress) + Send + Sync);

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting => f.write_str("waiting for another process that makes the same environment"),
            Self::Removing(path) => write!(f, "removing the unfinished Python environment {}", path.display()),
            Self::Creating { python, installer, path } => {
                write!(f, "creating a Python environment with {python} and {installer} in {}", path.display())
            }
            Self::ReadingLockFile(path) => write!(f, "reading the lock file {}", path.display()),
            Self::Installing { count: 1 } => f.write_str("installing 1 requirement and what it needs"),
            Self::Installing { count } => write!(f, "installing {count} requirements and what they need"),
            Self::InstallingPackages { manager, folder } => {
                write!(f, "installing the packages of {} with {manager}", folder.display())
            }
            Self::InstallingHost(folder) => write!(f, "installing what runs TypeScript, in {}", folder.display()),
            Self::Output(line) | Self::Note(line) => f.write_str(line),
        }
    }
}
