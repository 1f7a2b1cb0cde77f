//! Finds a node executable.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::environment::error::EnvironmentError;
use crate::inherited::Inherited;

/// The oldest node that can run the host program.
const OLDEST: (u32, u32) = (20, 11);

const PATIENCE: Duration = Duration::from_secs(20);

/// A suitable node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub path: PathBuf,
    /// Its version, such as `22.1.0`.
    pub version: String,
}

impl Node {
    pub(super) fn major(&self) -> u32 {
        numbers(&self.version).0
    }
}

/// The first suitable node: `explicit`, or one on PATH. A newer one than `wanted` is suitable too, because node stays
/// compatible.
pub(super) async fn find(
    explicit: Option<&Path>,
    wanted: Option<u32>,
    inherited: &Inherited,
) -> Result<Node, EnvironmentError> {
    let candidates: Vec<PathBuf> = match explicit {
        Some(path) => vec![which::which(path).unwrap_or_else(|_| path.to_owned())],
        None => ["node", "nodejs"].iter().flat_map(|name| which::which_all(name).into_iter().flatten()).collect(),
    };
    let mut seen = Vec::new();
    for path in candidates {
        let reason = match probe(&path, inherited).await {
            Ok(version) if numbers(&version) < OLDEST.max((wanted.unwrap_or_default(), 0)) => {
                format!("is Node.js {version}")
            }
            Ok(version) => return Ok(Node { path, version }),
            Err(reason) => reason,
        };
        let line = format!("{}: {reason}", path.display());
        if !seen.contains(&line) {
            seen.push(line);
        }
    }
    Err(EnvironmentError::NoNode { wanted, seen })
}

// The error text completes "<path>: ...".
async fn probe(path: &Path, inherited: &Inherited) -> Result<String, String> {
    let mut command = Command::new(path);
    command.env_clear().envs(inherited.iter()).env_remove("NODE_OPTIONS");
    command.arg("--version").stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = output.map_err(|_| format!("gave no answer within {} s", PATIENCE.as_secs()))?;
    let output = output.map_err(|error| format!("cannot be run ({error})"))?;
    if !output.status.success() {
        return Err(format!("fails ({})", output.status));
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    let version = printed.trim().strip_prefix('v').unwrap_or_default();
    if numbers(version).0 == 0 { Err("does not answer like node".to_owned()) } else { Ok(version.to_owned()) }
}

fn numbers(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}
