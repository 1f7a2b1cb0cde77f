//! Keeps graph hosts from the platform's own files and processes, where the kernel has Landlock.
//!
//! A host runs as the same user as its server, so file modes alone do not keep it from the data folder. A [`Sandbox`]
//! names what to hide: folders and files, and folders below them that stay visible. The server does not start a host
//! directly. It starts itself again as a launcher ([`launch`]), which restricts itself and then becomes the host:
//! restricting a process between `fork` and `exec` is not safe in a program with threads.
//!
//! Landlock also keeps the host from the memory and the environment of every process outside the sandbox, such as the
//! server (`/proc/PID/environ`, `ptrace`). The launcher also drops the capabilities by which root could read them. From Linux 6.12 on the host cannot send them signals either.
//!
//! Landlock has no rule that hides: it allows what lies below the folders that are named. There are two ways to hide:
//!
//! - **A mount namespace.** An empty folder is mounted over what is hidden. The launcher uses it where it may: as root, or
//!   as another user in a user namespace where the hidden folder lies below the host's working directory.
//! - **Landlock alone.** Everything is allowed but what is hidden and the folders above it; of these only the entries that
//!   exist when the host starts. New files directly in such a folder cannot be opened.

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

/// What a host must not reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    rules: Rules,
    launcher: PathBuf,
}

/// What the launcher hides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Rules {
    /// Folders and files.
    hidden: Vec<PathBuf>,
    /// Folders below hidden ones that can be used.
    shown: Vec<PathBuf>,
}

impl Sandbox {
    /// Hides nothing but other processes.
    ///
    /// The program that calls this must call [`launch`] first of all in its `main`.
    #[must_use]
    pub fn new() -> Self {
        // Not the file's name: another version may lie there by the time that a host is started again.
        Self { rules: Rules::default(), launcher: PathBuf::from("/proc/self/exe") }
    }

    /// Another program as the launcher, for a program that is none.
    #[must_use]
    pub fn with_launcher(self, launcher: impl Into<PathBuf>) -> Self {
        Self { launcher: launcher.into(), ..self }
    }

    /// Also hides a folder or a file. One that does not exist is passed over.
    #[must_use]
    pub fn hide(mut self, path: &Path) -> Self {
        let Ok(path) = path.canonicalize() else { return self };
        // What lies below a hidden folder is hidden already.
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

    /// What is hidden.
    #[must_use]
    pub fn hidden(&self) -> &[PathBuf] {
        &self.rules.hidden
    }

    /// Whether this kernel can apply it.
    #[must_use]
    pub fn is_supported() -> bool {
        #[cfg(target_os = "linux")]
        return rules::is_supported();
        #[cfg(not(target_os = "linux"))]
        return false;
    }

    /// The program and the arguments that become the host's in the sandbox.
    pub(crate) fn wrap(&self, program: &Path) -> (PathBuf, Vec<OsString>) {
        // Paths of a Linux system that are not texts cannot be hidden; `hide` is given those of the settings.
        let rules = serde_json::to_string(&self.rules).unwrap_or_default();
        (self.launcher.clone(), vec![LAUNCHER.into(), rules.into(), program.into()])
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}
