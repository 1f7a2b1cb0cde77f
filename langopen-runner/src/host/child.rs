//! A host's process, and the processes that it started.

use std::io;
use std::process::ExitStatus;

use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use uuid::Uuid;

use super::family::{Family, MARK};
use super::launch::launch;

/// A host's process. Dropping it kills the process and its group. [`Process::end`] also finds processes that left the
/// group.
pub(crate) struct Process {
    child: Child,
    family: Option<Family>,
}

impl Process {
    /// Starts a host. Needs a runtime.
    pub(super) async fn launch(mut command: Command) -> io::Result<Self> {
        let id = Uuid::new_v4().simple().to_string();
        command.env(MARK, &id);
        let child = launch(command).await?;
        let family = child.id().map(|host| Family::new(host, &id));
        Ok(Self { child, family })
    }

    pub(super) fn outputs(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        (self.child.stdout.take(), self.child.stderr.take())
    }

    /// Waits until the host has ended.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Records the processes that the host has started so far, so that they can be found after the host has ended.
    pub(crate) fn look(&mut self) {
        if let Some(family) = &mut self.family {
            family.look();
        }
    }

    /// Kills the host, if it is alive, and all processes that it started.
    pub(crate) async fn end(mut self) {
        if let Some(mut family) = self.family.take() {
            family.look();
            family.end().await;
        }
        // It is dead already; this call collects its exit status.
        let _ = self.child.kill().await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(family) = &self.family {
            family.kill_group();
        }
    }
}
