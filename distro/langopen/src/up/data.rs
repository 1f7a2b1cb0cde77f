//! The data folder. This process creates it if it is missing, and locks it.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use langopen_runner::AppConfig;

use crate::cli::UpOptions;
use crate::error::CommandError;
use crate::private;

/// The default name of the folder, beside the application's configuration.
const DEFAULT: &str = ".langopen";

/// A data folder that this process has locked.
pub(crate) struct DataFolder {
    path: PathBuf,
    /// The open file holds the lock.
    _lock: File,
}

impl DataFolder {
    pub(crate) fn open(options: &UpOptions, config: &AppConfig) -> Result<Self, CommandError> {
        Self::hold(options.data.clone().unwrap_or_else(|| config.base_dir().join(DEFAULT)))
    }

    /// Locks the folder at `path`, and creates it if it is missing. Other users of the machine cannot read it.
    pub(crate) fn hold(path: PathBuf) -> Result<Self, CommandError> {
        let unusable = |source: io::Error| CommandError::DataFolder { path: path.clone(), source };
        private::folder(&path).map_err(unusable)?;
        let path = std::path::absolute(&path).map_err(unusable)?;
        let lock = private::file(&path.join("lock")).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(CommandError::DataFolderInUse { path }),
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        // The folder may be inside the user's project. The ignore file prevents a commit of its content.
        let ignore = path.join(".gitignore");
        if !ignore.exists() {
            std::fs::write(&ignore, "*\n").map_err(unusable)?;
        }
        private::close(&ignore).map_err(unusable)?;
        Ok(Self { path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of the database file, which other users of the machine cannot read. SQLite gives its other files the
    /// same mode.
    pub(crate) fn database(&self) -> Result<PathBuf, CommandError> {
        let path = self.path.join("langopen.db");
        let unusable = |source: io::Error| CommandError::DataFolder { path: self.path.clone(), source };
        private::file(&path).map_err(unusable)?;
        for other in ["langopen.db-wal", "langopen.db-shm"] {
            private::close(&self.path.join(other)).map_err(unusable)?;
        }
        Ok(path)
    }

    pub(crate) fn environments(&self) -> PathBuf {
        self.path.join("environments")
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.path.join("host")
    }
}
