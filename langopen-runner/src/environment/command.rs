//! Runs a tool, reports its output lines, and converts a failure into an error with all details.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Child;

use super::diagnose;
use super::error::{EnvironmentError, ToolFailure};
use super::progress::{Listener, Progress};
use super::redact::redact;
use crate::host::Surroundings;

// Each of these would redirect packages, or mix other packages into the environment.
const HARMFUL: [&str; 9] = [
    "PYTHONHOME",
    "PYTHONPATH",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "PIP_USER",
    "PIP_TARGET",
    "PIP_PREFIX",
    "UV_PROJECT_ENVIRONMENT",
    "__PYVENV_LAUNCHER__",
];

/// One call of a tool.
pub(super) struct Tool {
    /// Its purpose: the subject of "... failed".
    pub what: String,
    pub program: PathBuf,
    pub args: Vec<OsString>,
    pub folder: PathBuf,
    pub env: Vec<(&'static str, OsString)>,
}

impl Tool {
    pub(super) fn new(what: impl Into<String>, program: impl Into<PathBuf>, folder: impl Into<PathBuf>) -> Self {
        Self { what: what.into(), program: program.into(), args: vec![], folder: folder.into(), env: vec![] }
    }

    pub(super) fn args<T: Into<OsString>>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Runs the tool to its end, with only the inherited variables, and returns both outputs in order. Dropping the
    /// future kills the tool and its child processes.
    pub(super) async fn run(
        &self,
        surroundings: &Surroundings,
        progress: Listener<'_>,
    ) -> Result<String, EnvironmentError> {
        // The code of packages runs here: `setup.py`, build backends, npm scripts.
        let mut command = surroundings.command(&self.program);
        command.args(&self.args).current_dir(&self.folder);
        for name in HARMFUL {
            command.env_remove(name);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        let child = command.spawn().map_err(EnvironmentError::io(&self.program, "cannot be run"))?;
        let mut group = Group::new(child);
        let mut output = String::new();
        let result = group.lines(|line| {
            let line = redact(line);
            output.push_str(&line);
            output.push('\n');
            progress(Progress::Output(line));
        });
        let status = result.await.map_err(EnvironmentError::io(&self.program, "its output cannot be read"))?;
        if status.success() {
            return Ok(output);
        }
        Err(EnvironmentError::Tool(Box::new(ToolFailure {
            what: self.what.clone(),
            status: status.to_string(),
            remedy: diagnose::remedy(&output),
            command: self.shown(),
            folder: self.folder.clone(),
            output,
        })))
    }

    fn shown(&self) -> String {
        let words = std::iter::once(self.program.as_os_str()).chain(self.args.iter().map(OsString::as_os_str));
        redact(&words.map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" "))
    }
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=@+,%\\".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{word}'") }
}

// pip and uv start compilers, which must not outlive the caller.
struct Group {
    child: Child,
    running: bool,
}

impl Group {
    fn new(child: Child) -> Self {
        Self { child, running: true }
    }

    async fn lines(&mut self, mut each: impl FnMut(&str)) -> std::io::Result<std::process::ExitStatus> {
        let mut out = self.child.stdout.take().map(BufReader::new);
        let mut err = self.child.stderr.take().map(BufReader::new);
        let (mut out_line, mut err_line) = (Vec::new(), Vec::new());
        while out.is_some() || err.is_some() {
            tokio::select! {
                more = next(&mut out, &mut out_line), if out.is_some() => {
                    if !take(more?, &mut out_line, &mut each) { out = None; }
                }
                more = next(&mut err, &mut err_line), if err.is_some() => {
                    if !take(more?, &mut err_line, &mut each) { err = None; }
                }
            }
        }
        let status = self.child.wait().await?;
        self.running = false;
        Ok(status)
    }
}

// Cancel safe: after a cancellation, `line` still has the bytes that were read.
async fn next<R: AsyncRead + Unpin>(reader: &mut Option<BufReader<R>>, line: &mut Vec<u8>) -> std::io::Result<usize> {
    match reader {
        Some(reader) => reader.read_until(b'\n', line).await,
        None => Ok(0),
    }
}

// `read` counts only the last call. At the end of the stream, an earlier, cancelled call may have read a line.
fn take(read: usize, line: &mut Vec<u8>, each: &mut impl FnMut(&str)) -> bool {
    if !line.is_empty() {
        each(String::from_utf8_lossy(line).trim_end_matches(['\n', '\r']));
        line.clear();
    }
    read > 0
}

impl Drop for Group {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(pid) = self.child.id().filter(|_| self.running).and_then(|id| i32::try_from(id).ok())
            && let Some(pid) = rustix::process::Pid::from_raw(pid)
        {
            // The call fails only if the whole group has ended.
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
    }
}
