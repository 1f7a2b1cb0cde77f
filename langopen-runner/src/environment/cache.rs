//! The folder of environments: locks, and the marker of a complete environment.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::EnvironmentError;
use super::progress::{Listener, Progress};

const MARKER: &str = "complete.json";
const BETWEEN_TRIES: Duration = Duration::from_millis(200);

/// The last file of an environment, which marks it as complete.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Marker {
    pub python: PathBuf,
    pub site: PathBuf,
}

impl Marker {
    /// The marker of a complete environment whose interpreter still exists.
    pub(super) fn read(environment: &Path) -> Option<Self> {
        let bytes = std::fs::read(environment.join(MARKER)).ok()?;
        // `is_file` follows the link to the interpreter, which may have been uninstalled.
        serde_json::from_slice::<Self>(&bytes).ok().filter(|marker| marker.python.is_file())
    }

    pub(super) fn write(&self, environment: &Path) -> Result<(), EnvironmentError> {
        let path = environment.join(MARKER);
        let draft = environment.join("complete.tmp");
        let result = serde_json::to_vec(self).map_err(std::io::Error::from).and_then(|bytes| {
            std::fs::write(&draft, bytes)?;
            File::open(&draft)?.sync_all()?;
            std::fs::rename(&draft, &path)
        });
        result.map_err(EnvironmentError::io(&path, "cannot be written"))
    }
}

/// Waits until no other process works on the same environment. Dropping the file, or the end of the process, releases
/// the lock. The wait can be cancelled at any time.
pub(super) async fn lock(path: &Path, progress: Listener<'_>) -> Result<File, EnvironmentError> {
    let failed = || EnvironmentError::io(path, "cannot be locked");
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(failed())?;
    let mut reported = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                if !reported {
                    progress(Progress::Waiting);
                    reported = true;
                }
                tokio::time::sleep(BETWEEN_TRIES).await;
            }
            Err(TryLockError::Error(error)) => return Err(failed()(error)),
        }
    }
}
