//! The surroundings of a host's process: its inherited variables and its sandbox.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::inherited::Inherited;
use crate::sandbox::Sandbox;

/// The surroundings of a host's process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    /// The inherited variables.
    pub(crate) inherited: Inherited,
    /// The sandbox; `None` for no restriction.
    pub(crate) sandbox: Option<Sandbox>,
    /// The folder for temporary files, if the sandbox makes the system's unusable.
    pub(crate) temp_dir: Option<PathBuf>,
}

impl Surroundings {
    /// A command that runs the program in the sandbox, with only the inherited variables.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = match &self.sandbox {
            None => Command::new(program),
            Some(sandbox) => {
                let (launcher, arguments) = sandbox.wrap(program);
                let mut command = Command::new(launcher);
                command.args(arguments);
                command
            }
        };
        command.env_clear().envs(self.inherited.iter());
        if let Some(folder) = &self.temp_dir {
            command.env("TMPDIR", folder);
        }
        command
    }
}
