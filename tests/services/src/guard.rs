//! Stops the started services when this process ends, even if it is killed.
//!
//! Rust never drops statics, and a killed process drops nothing. So a shell reads from a pipe whose other end this
//! process holds. The system closes the pipe when the process ends, and the shell then cleans up.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use crate::error::{Error, Result};

/// The waiting shells, with this process's ends of their pipes.
static GUARDS: Mutex<Vec<Child>> = Mutex::new(Vec::new());

/// Runs `script` with `arguments` ($1, $2, ...) after this process has ended.
pub(crate) fn at_end(script: &str, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("cat >/dev/null; {script}"), "sh"]).args(arguments);
    // Its own process group keeps Ctrl-C from ending the shell before this process.
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let guard = command.spawn().map_err(|source| Error::Run { program: "sh".to_owned(), source })?;
    GUARDS.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(guard);
    Ok(())
}
