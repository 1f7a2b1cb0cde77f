//! Processes that can be killed and held up. Each leads its own process group, which ends with its owner.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child, Command};

use crate::error::{Result, io};

/// How long a process may take to end after SIGTERM before it is killed.
const TO_STOP: Duration = Duration::from_secs(10);
const LOG_LINES: usize = 25;

/// A running process with its children.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    group: Pid,
}

impl Process {
    /// Starts `command`, and appends its output to the file `log`.
    pub(crate) fn start(mut command: Command, log: &Path) -> Result<Self> {
        let name = command.as_std().get_program().display().to_string();
        let file = OpenOptions::new().create(true).append(true).open(log).map_err(io(format!("{}", log.display())))?;
        let second = file.try_clone().map_err(io("a log"))?;
        command.stdin(Stdio::null()).stdout(file).stderr(second);
        let child = command.process_group(0).spawn().map_err(io(format!("{name} cannot be started")))?;
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let group = pid.ok_or_else(|| io(name)(std::io::Error::other("it ended at once")))?;
        Ok(Self { child, group })
    }

    /// Whether the process has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills only the process with `kill -9`. Its children must detect this by themselves.
    pub(crate) async fn kill(mut self) {
        let _ = kill_process(self.group, Signal::KILL);
        let _ = self.child.wait().await;
        // The children get this long to detect the kill. Dropping the process kills the rest before the next start.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }

    /// Sends SIGTERM, and SIGKILL if the process does not end in time.
    pub(crate) async fn stop(mut self) {
        let _ = kill_process(self.group, Signal::TERM);
        let _ = tokio::time::timeout(TO_STOP, self.child.wait()).await;
    }

    /// Holds the process up, or lets it continue.
    pub(crate) fn hold(&self, hold: bool) {
        let _ = kill_process(self.group, if hold { Signal::STOP } else { Signal::CONT });
    }

    /// The Python processes that it has started.
    pub(crate) fn hosts(&self) -> Vec<Pid> {
        let own = self.group.as_raw_nonzero().get();
        let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|pid| parent(*pid) == Some(own) && is_python(*pid)).filter_map(Pid::from_raw).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A host that is held up cannot detect the end of its owner.
        self.hosts().into_iter().for_each(|host| signal(host, Signal::KILL));
        let _ = kill_process_group(self.group, Signal::KILL);
    }
}

/// Sends a signal to a process that another one owns.
pub(crate) fn signal(pid: Pid, signal: Signal) {
    // The process may have ended already.
    let _ = kill_process(pid, signal);
}

fn parent(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The process name before the bracket may contain any character.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

fn is_python(pid: i32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains("python"))
}

/// The last lines of a log.
pub(crate) fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

/// Runs a program to its end, and returns its output.
pub(crate) async fn run(mut command: Command) -> Result<String> {
    let program = command.as_std().get_program().display().to_string();
    // With a file instead of a pipe, a server that the program starts in the background cannot hold the output open.
    let said = tempfile::NamedTempFile::new().map_err(io("a temporary file"))?;
    let file = File::options().append(true).open(said.path()).map_err(io("a temporary file"))?;
    let second = file.try_clone().map_err(io("a temporary file"))?;
    let status = command.stdin(Stdio::null()).stdout(file).stderr(second).status().await;
    let status = status.map_err(io(program.clone()))?;
    let output = std::fs::read_to_string(said.path()).unwrap_or_default();
    match status.success() {
        true => Ok(output),
        false => Err(crate::error::Error::Failed { program, output }),
    }
}
