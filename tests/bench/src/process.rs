//! Processes that the benchmark starts. Each leads its own process group, and the group ends when its owner is dropped.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Serialize;
use tokio::process::{Child, Command};

use crate::error::{Error, Result};

const TO_STOP: Duration = Duration::from_secs(8);
const LOG_LINES: usize = 20;

/// A running process and its children.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    group: Pid,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; its output goes to the file `log`.
    pub(crate) fn start(mut command: Command, log: PathBuf) -> Result<Self> {
        let name = command.as_std().get_program().display().to_string();
        let failed = |source| Error::Io { what: format!("cannot start {name}"), source };
        let file = File::create(&log).map_err(failed)?;
        let second = file.try_clone().map_err(failed)?;
        command.stdin(Stdio::null()).stdout(file).stderr(second);
        let child = command.process_group(0).spawn().map_err(failed)?;
        let group = child.id().and_then(|id| Pid::from_raw(id as i32));
        let group = group.ok_or_else(|| failed(std::io::Error::other("it ended at once")))?;
        Ok(Self { child, group, log })
    }

    pub(crate) fn id(&self) -> u32 {
        self.group.as_raw_nonzero().get().unsigned_abs()
    }

    /// The process's exit status as text, if it has ended.
    pub(crate) fn ended(&mut self) -> Option<String> {
        self.child.try_wait().ok().flatten().map(|status| format!("ended with {status}"))
    }

    /// Waits for its end.
    pub(crate) async fn wait(&mut self) -> Result<ExitStatus> {
        self.child.wait().await.map_err(|source| Error::Io { what: "cannot wait for a process".into(), source })
    }

    /// The last lines of the log.
    pub(crate) fn log_tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    /// Asks the group to stop, and kills the processes that are left.
    pub(crate) async fn stop(mut self) {
        // An error means that the group has already ended.
        let _ = kill_process_group(self.group, Signal::TERM);
        let _ = tokio::time::timeout(TO_STOP, self.child.wait()).await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = kill_process_group(self.group, Signal::KILL);
    }
}

/// The memory of one process without its children, in MiB.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Memory {
    /// `VmRSS`: the resident memory now.
    pub(crate) resident_mib: f64,
    /// `VmHWM`: the most resident memory so far.
    pub(crate) peak_mib: f64,
}

impl Memory {
    /// `None` without `/proc`, or if no process has this id.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).ok()?)
    }

    fn parse(status: &str) -> Option<Self> {
        let mib = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
            Some(kib / 1024.0)
        };
        Some(Self { resident_mib: mib("VmRSS:")?, peak_mib: mib("VmHWM:")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_status() {
        let memory = Memory::parse("Name:\tx\nVmHWM:\t   4096 kB\nVmRSS:\t    2048 kB\n").unwrap();
        assert_eq!((memory.resident_mib, memory.peak_mib), (2.0, 4.0));
        assert!(Memory::parse("Name:\tx\n").is_none());
    }
}
