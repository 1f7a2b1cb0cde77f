//! What a host's process sees of the machine: its inherited variables and its sandbox.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::inherited::Inherited;
use crate::sandbox::Sandbox;

/// What a host's process sees of the machine.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    /// The variables that it inherits.
    pub(crate) inherited: Inherited,
    /// What is hidden from it; `None` for nothing.
    pub(crate) sandbox: Option<Sandbox>,
    /// Its folder for temporary files, where the system's is no good in the sandbox.
    pub(crate) temp_dir: Option<PathBuf>,
}

impl Surroundings {
    /// A command that runs the program with the inherited variables alone, in the sandbox.
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
