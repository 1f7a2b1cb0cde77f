//! Stops what was started when this process has ended, however it ended.
//!
//! Statics are never dropped and a killed process drops nothing, so a shell waits at a pipe of ours: it reads until the pipe is closed, which the
//! system does for every process that ends.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use crate::error::{Error, Result};

/// The shells that wait, with our ends of their pipes.
static GUARDS: Mutex<Vec<Child>> = Mutex::new(Vec::new());

/// Runs `script` with `arguments` ($1, $2, ...) after this process's end.
pub(crate) fn at_end(script: &str, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("cat >/dev/null; {script}"), "sh"]).args(arguments);
    // In a group of its own, so that Ctrl-C does not end it before us.
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let guard = command.spawn().map_err(|source| Error::Run { program: "sh".to_owned(), source })?;
    GUARDS.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(guard);
    Ok(())
}
