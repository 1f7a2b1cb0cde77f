//! The progress of making an environment.

use std::fmt;
use std::path::PathBuf;

/// One step, or one output line of a tool. `Display` formats it as a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// Another process makes the same environment; this one waits.
    Waiting,
    /// Removal of an incomplete environment.
    Removing(PathBuf),
    /// Creation of an empty environment.
    Creating {
        /// The interpreter and its version.
        python: String,
        /// `uv` or `pip`.
        installer: &'static str,
        /// The environment's folder.
        path: PathBuf,
    },
    /// Conversion of the lock file into a list of packages.
    ReadingLockFile(PathBuf),
    /// Installation of packages.
    Installing {
        /// The number of requirements; each may bring others.
        count: usize,
    },
    /// Installation of the packages of a JavaScript application.
    InstallingPackages {
        /// The package manager.
        manager: &'static str,
        /// The folder of the packages.
        folder: PathBuf,
    },
    /// Installation of the packages of the Node.js host program.
    InstallingHost(PathBuf),
    /// An output line of a tool, without credentials.
    Output(String),
    /// Information for the user.
    Note(String),
}

/// The receiver of progress.
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
