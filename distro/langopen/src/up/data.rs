//! The data folder: made if missing, and held by one process at a time.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use langopen_runner::AppConfig;

use crate::cli::UpOptions;
use crate::error::CommandError;

/// The folder's name beside the application's configuration, unless another one is chosen.
const DEFAULT: &str = ".langopen";

/// A data folder that this process holds.
pub(crate) struct DataFolder {
    path: PathBuf,
    /// The lock lasts as long as the file is open.
    _lock: File,
}

impl DataFolder {
    pub(crate) fn open(options: &UpOptions, config: &AppConfig) -> Result<Self, CommandError> {
        Self::hold(options.data.clone().unwrap_or_else(|| config.base_dir().join(DEFAULT)))
    }

    /// Holds the folder at `path`, and makes it if it is missing.
    pub(crate) fn hold(path: PathBuf) -> Result<Self, CommandError> {
        let unusable = |source: io::Error| CommandError::DataFolder { path: path.clone(), source };
        std::fs::create_dir_all(&path).map_err(unusable)?;
        let path = std::path::absolute(&path).map_err(unusable)?;
        let lock = File::create(path.join("lock")).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(CommandError::DataFolderInUse { path }),
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        // A folder of ours in the user's project is not theirs to commit.
        let ignore = path.join(".gitignore");
        if !ignore.exists() {
            std::fs::write(&ignore, "*\n").map_err(unusable)?;
        }
        Ok(Self { path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.path.join("langopen.db")
    }

    pub(crate) fn environments(&self) -> PathBuf {
        self.path.join("environments")
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.path.join("host")
    }
}
