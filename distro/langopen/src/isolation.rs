//! Decides which variables and files of this machine user code can read.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use langopen_runner::{Inherited, Sandbox, Withheld};
use serde::Deserialize;

use crate::announce::say;
use crate::error::CommandError;

/// Whether graph hosts run in a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SandboxMode {
    /// If the kernel has Landlock.
    #[default]
    Auto,
    /// Never.
    Off,
    /// Always. If the kernel has no Landlock, the program does not start.
    Require,
}

/// The variables that configure the platform's data stores. A runner that inherits them does not pass them on to user
/// code.
const ADDRESSES: [&str; 7] = [
    "DATABASE_DIRECT_URL",
    "DATABASE_URI",
    "LANGOPEN_DATABASE_DIRECT_URL",
    "LANGOPEN_DATABASE_URL",
    "LANGOPEN_REDIS_URL",
    "POSTGRES_URI",
    "REDIS_URI",
];

/// Adds this process's settings of the platform's data stores to `withheld`.
pub(crate) fn with_variables(withheld: Withheld) -> Withheld {
    let given = ADDRESSES.iter().filter_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    given.fold(withheld, |withheld, address| withheld.with_address(&address))
}

/// What user code can read.
pub(crate) struct Isolation {
    /// The variables that user code inherits.
    pub(crate) inherited: Inherited,
    sandboxed: bool,
    /// The data folder. It is hidden, except for the parts that hosts need.
    data: Option<PathBuf>,
    hidden: Vec<PathBuf>,
}

impl Isolation {
    /// `withheld` are the secrets that no variable of user code may contain.
    pub(crate) fn new(mode: SandboxMode, withheld: &Withheld) -> Result<Self, CommandError> {
        let supported = mode != SandboxMode::Off && Sandbox::is_supported();
        if mode == SandboxMode::Require && !supported {
            return Err(CommandError::NoSandbox);
        }
        let sandboxed = mode != SandboxMode::Off && supported;
        Ok(Self { inherited: Inherited::of_process(withheld), sandboxed, data: None, hidden: Vec::new() })
    }

    /// Hides the data folder.
    pub(crate) fn hide_data(&mut self, data: &Path) {
        self.data = Some(data.to_owned());
    }

    /// Hides a folder or a file, such as a token's file.
    pub(crate) fn hide(&mut self, path: &Path) {
        self.hidden.push(path.to_owned());
    }

    /// Prints what hosts cannot read.
    pub(crate) fn announce(&self, mode: SandboxMode) {
        let text = match (self.sandboxed, mode, &self.data) {
            (true, _, Some(data)) => format!("graph hosts cannot read {} or other processes", data.display()),
            (true, _, None) => "graph hosts cannot read other processes".to_owned(),
            (false, SandboxMode::Off, _) => "off: graph hosts can read whatever this user can".to_owned(),
            (false, ..) => {
                "off, because this kernel has no Landlock: graph hosts can read all files of this user".to_owned()
            }
        };
        say("sandbox", &text);
    }

    /// The sandbox of installers. It restricts only their access to other processes, because they write to many
    /// folders.
    pub(crate) fn for_installers(&self) -> Option<Sandbox> {
        self.sandboxed.then(Sandbox::new)
    }

    /// The sandbox and the folder for temporary files of hosts that work in `base_dir` and need the folders `shown`.
    pub(crate) fn for_hosts(&self, base_dir: &Path, shown: &[PathBuf]) -> (Option<Sandbox>, Option<PathBuf>) {
        if !self.sandboxed {
            return (None, None);
        }
        let mut sandbox = self.hidden.iter().fold(Sandbox::new(), |sandbox, path| sandbox.hide(path));
        let mut temp_dir = None;
        if let Some(data) = &self.data {
            // If the application is inside the data folder, hosts must read it. Only the database's files are hidden
            // then.
            sandbox = match base_dir.starts_with(data) {
                true => DATABASE_FILES.iter().fold(sandbox, |sandbox, file| sandbox.hide(&data.join(file))),
                false => sandbox.hide(data),
            };
            // In the sandbox, hosts may be unable to open new files beside a hidden folder.
            let system = std::env::temp_dir().canonicalize().unwrap_or_default();
            let own = data.join("tmp");
            if sandbox.hidden().iter().any(|hidden| hidden.starts_with(&system)) && make(&own) {
                sandbox = sandbox.show(&own);
                temp_dir = Some(own);
            }
        }
        (Some(shown.iter().fold(sandbox, |sandbox, path| sandbox.show(path))), temp_dir)
    }
}

const DATABASE_FILES: [&str; 3] = ["langopen.db", "langopen.db-wal", "langopen.db-shm"];

fn make(folder: &Path) -> bool {
    crate::private::folder(folder)
        .inspect_err(|error| {
            tracing::warn!(folder = %folder.display(), %error, "the folder for temporary files of the graph hosts cannot be created");
        })
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_folder_is_hidden_but_for_what_hosts_need() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        let (app, data, token) = (base.join("app"), base.join("data"), base.join("token"));
        for path in [&app, &data.join("environments")] {
            std::fs::create_dir_all(path).unwrap();
        }
        for path in [&token, &data.join("langopen.db")] {
            std::fs::write(path, "").unwrap();
        }
        let mut isolation = Isolation::new(SandboxMode::Off, &Withheld::default()).unwrap();
        isolation.hide_data(&data);
        isolation.hide(&token);
        let shown = [data.join("environments")];
        assert_eq!(isolation.for_hosts(&app, &shown), (None, None));
        isolation.sandboxed = true;
        let (sandbox, temp_dir) = isolation.for_hosts(&app, &shown);
        assert_eq!(sandbox.unwrap().hidden(), [token.clone(), data.clone()]);
        // The test's folder is inside the system's folder for temporary files.
        assert_eq!(temp_dir, Some(data.join("tmp")));
        let (sandbox, _) = isolation.for_hosts(&data.join("app"), &shown);
        assert_eq!(sandbox.unwrap().hidden(), [token, data.join("langopen.db")]);
    }
}
