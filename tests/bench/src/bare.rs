//! The bare library: `bare.py` calls the graphs directly, without any server.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::error::{Error, Result};
use crate::process::Process;

/// Longer than `bare.py` takes for any extent.
const LIMIT: Duration = Duration::from_secs(120);

/// The report of `bare.py`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Bare {
    pub(crate) python: String,
    pub(crate) langgraph: String,
    /// One run at a time, with streamed values and an in-memory saver.
    pub(crate) noop: Loop,
    /// The same in two processes at the same time.
    pub(crate) noop_two_processes: Loop,
    /// 100 tokens, stream mode `messages` (which the API calls `messages-tuple`).
    pub(crate) messages: Streams,
    /// 100 tokens, stream mode `values`.
    pub(crate) values: Streams,
    /// The median time of each turn of a thread, in milliseconds.
    pub(crate) turns: Vec<f64>,
}

/// Four streams at the same time: in one process, or two in each of two processes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Streams {
    pub(crate) one_process: Loop,
    /// Two streams in each process.
    pub(crate) two_processes: Loop,
}

/// Closed loops of direct calls; times are medians in milliseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Loop {
    pub(crate) processes: usize,
    pub(crate) clients: usize,
    pub(crate) n: usize,
    pub(crate) per_s: f64,
    pub(crate) first_ms: f64,
    pub(crate) total_ms: f64,
}

/// The amount of work for `bare.py`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) seconds: f64,
    pub(crate) threads: usize,
    pub(crate) turns: usize,
}

/// Runs `bare.py` in `folder` to its end.
pub(crate) async fn measure(python: &Path, folder: &Path, extent: Extent) -> Result<Bare> {
    let report = folder.join("bare.json");
    let mut command = Command::new(python);
    command.current_dir(folder).args(["-B", "bare.py", "--out"]).arg(&report);
    command.args(["--seconds", &extent.seconds.to_string(), "--threads", &extent.threads.to_string()]);
    command.args(["--turns", &extent.turns.to_string()]);
    command.env("LANGSMITH_TRACING", "false").env("LANGCHAIN_TRACING_V2", "false");
    let mut process = Process::start(command, folder.join("bare.log"))?;
    match tokio::time::timeout(LIMIT, process.wait()).await {
        Err(_) => return Err(Error::Bare(format!("not done after {LIMIT:?}"))),
        Ok(Err(error)) => return Err(error),
        Ok(Ok(status)) if !status.success() => {
            return Err(Error::Bare(format!("{}: {status}\n{}", python.display(), process.log_tail())));
        }
        Ok(Ok(_)) => {}
    }
    let bytes = std::fs::read(&report)
        .map_err(|source| Error::Io { what: format!("cannot read {}", report.display()), source })?;
    serde_json::from_slice(&bytes).map_err(|error| Error::Bare(format!("cannot read its report: {error}")))
}
