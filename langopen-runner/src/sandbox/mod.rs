//! Blocks the access of graph hosts to the platform's own files and processes, on kernels with Landlock.
//!
//! A host runs as the same user as its server, so file modes alone do not protect the data folder. A [`Sandbox`] lists
//! what to hide: folders and files, and folders below them that stay visible. The server does not start a host
//! directly. It starts itself again as a launcher ([`launch`]), which restricts itself and then becomes the host. In a
//! program with threads, a process cannot safely restrict itself between `fork` and `exec`.
//!
//! Landlock also blocks the host's access to the memory and the environment of every process outside the sandbox, such
//! as the server (`/proc/PID/environ`, `ptrace`). The launcher also drops the capabilities with which root could read
//! them. From Linux 6.12 on, the host cannot send signals to these processes either.
//!
//! Landlock cannot hide paths: it allows everything below the listed folders, and denies the rest. There are two ways
//! to hide:
//!
//! - **A mount namespace.** An empty folder is mounted over each hidden one. The launcher uses it if permitted: as
//!   root, or as another user in a user namespace if the hidden folder is below the host's working directory.
//! - **Landlock alone.** Everything is allowed except the hidden paths and the folders above them. Of these folders,
//!   only the entries that exist when the host starts are allowed. The host cannot open new files directly in such a
//!   folder.

mod launch;
#[cfg(target_os = "linux")]
mod namespace;
#[cfg(target_os = "linux")]
mod rules;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use launch::launch;

/// The first argument of a launcher.
const LAUNCHER: &str = "__langopen-sandbox";

/// The restrictions of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    rules: Rules,
    launcher: PathBuf,
}

/// The paths that the launcher hides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Rules {
    /// Hidden folders and files.
    hidden: Vec<PathBuf>,
    /// Usable folders below hidden ones.
    shown: Vec<PathBuf>,
}

impl Sandbox {
    /// A sandbox that hides only other processes.
    ///
    /// The program must call [`launch`] first in its `main`.
    #[must_use]
    pub fn new() -> Self {
        // Not the path of the executable: when a host restarts later, another version may be there.
        Self { rules: Rules::default(), launcher: PathBuf::from("/proc/self/exe") }
    }

    /// Sets the launcher, for a program that does not call [`launch`] itself.
    #[must_use]
    pub fn with_launcher(self, launcher: impl Into<PathBuf>) -> Self {
        Self { launcher: launcher.into(), ..self }
    }

    /// Also hides a folder or a file. A path that does not exist is skipped.
    #[must_use]
    pub fn hide(mut self, path: &Path) -> Self {
        let Ok(path) = path.canonicalize() else { return self };
        // A path below a hidden folder is hidden already.
        if !self.rules.hidden.iter().any(|hidden| path.starts_with(hidden)) {
            self.rules.hidden.retain(|hidden| !hidden.starts_with(&path));
            self.rules.hidden.push(path);
        }
        self
    }

    /// Also shows a folder below a hidden one.
    #[must_use]
    pub fn show(mut self, path: &Path) -> Self {
        self.rules.shown.extend(path.canonicalize().ok());
        self
    }

    /// The hidden folders and files.
    #[must_use]
    pub fn hidden(&self) -> &[PathBuf] {
        &self.rules.hidden
    }

    /// Whether this kernel supports the sandbox.
    #[must_use]
    pub fn is_supported() -> bool {
        #[cfg(target_os = "linux")]
        return rules::is_supported();
        #[cfg(not(target_os = "linux"))]
        return false;
    }

    /// The launcher's program and arguments, which run `program` in the sandbox.
    pub(crate) fn wrap(&self, program: &Path) -> (PathBuf, Vec<OsString>) {
        // Paths that are not UTF-8 cannot be hidden. The settings, from which `hide` gets its paths, are UTF-8.
        let rules = serde_json::to_string(&self.rules).unwrap_or_default();
        (self.launcher.clone(), vec![LAUNCHER.into(), rules.into(), program.into()])
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}
