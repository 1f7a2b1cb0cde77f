//! One process of the platform, with its connections to other parts.

use std::path::PathBuf;

use parking_lot::Mutex;
use rustix::process::Pid;
use tokio::process::Command;

use super::faketime;
use crate::error::Result;
use crate::process::Process;
use crate::services::Proxy;

/// The role of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    ApiServer,
    Worker,
    Runner,
    /// All roles in one process.
    Up,
}

/// A connection to another part, through a proxy.
#[derive(Debug)]
pub(crate) struct Link {
    /// The name of the other part.
    pub(crate) to: String,
    pub(crate) proxy: Proxy,
}

/// One process of the platform, which can be restarted.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) env: Vec<(&'static str, String)>,
    pub(crate) port: u16,
    pub(crate) links: Vec<Link>,
    pub(crate) log: PathBuf,
    /// The file with the offset of its clock. `None` if clocks cannot be shifted.
    pub(crate) clock: Option<PathBuf>,
    pub(crate) process: Mutex<Option<Process>>,
}

impl Node {
    /// Starts the process.
    pub(crate) fn up(&self) -> Result<()> {
        let mut command = Command::new(&self.program);
        // The process must not inherit the caller's own settings.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LANGOPEN_")) {
            command.env_remove(name);
        }
        command.args(&self.arguments).envs(self.env.iter().map(|(name, value)| (name, value)));
        *self.process.lock() = Some(Process::start(command, &self.log)?);
        Ok(())
    }

    pub(crate) async fn kill(&self) {
        let process = self.process.lock().take();
        if let Some(process) = process {
            process.kill().await;
        }
    }

    pub(crate) async fn stop(&self) {
        let process = self.process.lock().take();
        if let Some(process) = process {
            process.stop().await;
        }
    }

    pub(crate) fn hold(&self, hold: bool) {
        if let Some(process) = self.process.lock().as_ref() {
            process.hold(hold);
        }
    }

    /// Sets the clock offset of the process and its graph hosts, in milliseconds.
    pub(crate) fn skew(&self, millis: i64) -> Result<()> {
        self.clock.as_deref().map_or(Ok(()), |file| faketime::write(file, millis))
    }

    pub(crate) fn hosts(&self) -> Vec<Pid> {
        self.process.lock().as_ref().map(Process::hosts).unwrap_or_default()
    }

    /// Whether the process was started and has ended by itself.
    pub(crate) fn has_ended(&self) -> bool {
        self.process.lock().as_mut().is_some_and(Process::has_ended)
    }

    /// Whether the process serves clients.
    pub(crate) fn serves(&self) -> bool {
        matches!(self.kind, Kind::ApiServer | Kind::Up)
    }
}
