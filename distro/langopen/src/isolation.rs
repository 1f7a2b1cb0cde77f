//! What user code gets to see: its variables, and the files of this machine.

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
    /// Where the kernel has Landlock.
    #[default]
    Auto,
    /// Never.
    Off,
    /// Always: a kernel without Landlock ends the start.
    Require,
}

/// Names under which the platform is told of its data stores. A runner that was told of them too keeps them to itself.
const ADDRESSES: [&str; 7] = [
    "DATABASE_DIRECT_URL",
    "DATABASE_URI",
    "LANGOPEN_DATABASE_DIRECT_URL",
    "LANGOPEN_DATABASE_URL",
    "LANGOPEN_REDIS_URL",
    "POSTGRES_URI",
    "REDIS_URI",
];

/// `withheld` with what the variables of this process say about the platform's data stores.
pub(crate) fn with_variables(withheld: Withheld) -> Withheld {
    let given = ADDRESSES.iter().filter_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    given.fold(withheld, |withheld, address| withheld.with_address(&address))
}

/// What user code gets to see.
pub(crate) struct Isolation {
    /// The variables that it inherits.
    pub(crate) inherited: Inherited,
    sandboxed: bool,
    /// The data folder, which is hidden but for the parts that hosts need.
    data: Option<PathBuf>,
    hidden: Vec<PathBuf>,
}

impl Isolation {
    /// `withheld` is what no variable of user code may hold.
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

    /// Hides a folder or a file, such as one with a token.
    pub(crate) fn hide(&mut self, path: &Path) {
        self.hidden.push(path.to_owned());
    }

    /// Says what hosts cannot reach.
    pub(crate) fn announce(&self, mode: SandboxMode) {
        let text = match (self.sandboxed, mode, &self.data) {
            (true, _, Some(data)) => format!("graph hosts cannot read {} or other processes", data.display()),
            (true, _, None) => "graph hosts cannot read other processes".to_owned(),
            (false, SandboxMode::Off, _) => "off: graph hosts can read whatever this user can".to_owned(),
            (false, ..) => {
                "off, as this kernel has no Landlock: graph hosts can read whatever this user can".to_owned()
            }
        };
        say("sandbox", &text);
    }

    /// The sandbox of installers: they write in many places, so it keeps them from other processes alone.
    pub(crate) fn for_installers(&self) -> Option<Sandbox> {
        self.sandboxed.then(Sandbox::new)
    }

    /// The sandbox of hosts that work in `base_dir` and need the folders `shown`, and their folder for temporary files.
    pub(crate) fn for_hosts(&self, base_dir: &Path, shown: &[PathBuf]) -> (Option<Sandbox>, Option<PathBuf>) {
        if !self.sandboxed {
            return (None, None);
        }
        let mut sandbox = self.hidden.iter().fold(Sandbox::new(), |sandbox, path| sandbox.hide(path));
        let mut temp_dir = None;
        if let Some(data) = &self.data {
            // Hosts must see an application that lies in the data folder, so then only the database's files are hidden.
            sandbox = match base_dir.starts_with(data) {
                true => DATABASE_FILES.iter().fold(sandbox, |sandbox, file| sandbox.hide(&data.join(file))),
                false => sandbox.hide(data),
            };
            // In the sandbox, new files next to a hidden folder may be out of reach.
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
            tracing::warn!(folder = %folder.display(), %error, "the graph hosts have no folder for temporary files");
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
        // The test's folder lies in the system's folder for temporary files.
        assert_eq!(temp_dir, Some(data.join("tmp")));
        let (sandbox, _) = isolation.for_hosts(&data.join("app"), &shown);
        assert_eq!(sandbox.unwrap().hidden(), [token, data.join("langopen.db")]);
    }
}
