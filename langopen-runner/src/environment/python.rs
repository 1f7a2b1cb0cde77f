//! Finds a Python interpreter.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::error::EnvironmentError;
use super::requires::Requires;
use crate::config::{OLDEST_PYTHON, PythonVersion};
use crate::inherited::Inherited;

/// An interpreter that environments can be made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Interpreter {
    /// The executable itself, not a shim.
    pub path: PathBuf,
    /// Its version, such as `3.12.1`.
    pub version: String,
    /// Whether `python -m venv` works.
    pub venv: bool,
}

/// The requirements of the interpreter.
pub(super) struct Wanted<'a> {
    /// `python_version`.
    pub version: Option<PythonVersion>,
    /// `requires-python` of the application's projects.
    pub requires: &'a [Requires],
    /// The interpreter that the user configured.
    pub explicit: Option<&'a Path>,
    pub uv: Option<&'a Path>,
    /// Whether the environment will be made with `python -m venv`.
    pub needs_venv: bool,
    /// The variables that interpreters and uv start with.
    pub inherited: &'a Inherited,
}

// The newest version comes last, because many packages have no wheels for it yet.
const MINORS: [u32; 4] = [13, 12, 11, 14];
const PATIENCE: Duration = Duration::from_secs(20);
const PROBE: &str = "import sys, importlib.util as u\n\
    print('.'.join(map(str, sys.version_info[:3])))\n\
    print(getattr(sys, '_base_executable', None) or sys.executable)\n\
    print(all(u.find_spec(m) for m in ('venv', 'ensurepip')))";

pub(super) async fn find(wanted: &Wanted<'_>) -> Result<Interpreter, EnvironmentError> {
    choose(&candidates(wanted).await, wanted).await
}

/// The first suitable candidate.
pub(super) async fn choose(candidates: &[PathBuf], wanted: &Wanted<'_>) -> Result<Interpreter, EnvironmentError> {
    let mut seen: Vec<String> = Vec::new();
    for candidate in candidates {
        let reason = match probe(candidate, wanted.inherited).await {
            Ok(found) => match misfit(&found, wanted) {
                None => return Ok(found),
                Some(reason) => reason,
            },
            Err(reason) => reason,
        };
        let line = format!("{}: {reason}", candidate.display());
        if !seen.contains(&line) {
            seen.push(line);
        }
    }
    let requires = wanted.requires.iter().map(|each| (each.range(), each.file.clone())).collect();
    Err(EnvironmentError::NoPython { wanted: wanted.version, requires, seen })
}

fn misfit(found: &Interpreter, wanted: &Wanted<'_>) -> Option<String> {
    let mut numbers = found.version.split('.').map(|number| number.parse().unwrap_or(0));
    let version =
        PythonVersion { major: numbers.next().unwrap_or_default(), minor: numbers.next().unwrap_or_default() };
    let fits = match wanted.version {
        Some(wanted) => version == wanted,
        None => version >= OLDEST_PYTHON,
    };
    if !fits {
        return Some(format!("is Python {}", found.version));
    }
    if let Some(requires) = wanted.requires.iter().find(|requires| !requires.accepts(&found.version)) {
        let (range, file) = (requires.range(), requires.file.display());
        return Some(format!("is Python {}, but {file} requires {range}", found.version));
    }
    let lacks = wanted.needs_venv && !found.venv;
    lacks.then(|| {
        format!(
            "is Python {}, but lacks the modules venv and ensurepip (Debian and Ubuntu: apt install \
             python{version}-venv), which are needed where uv is not used",
            found.version
        )
    })
}

async fn candidates(wanted: &Wanted<'_>) -> Vec<PathBuf> {
    if let Some(path) = wanted.explicit {
        return vec![which::which(path).unwrap_or_else(|_| path.to_owned())];
    }
    let versioned = |minor: &u32| format!("python3.{minor}");
    let names: Vec<String> = match wanted.version {
        Some(version) => vec![format!("python{version}"), "python3".into(), "python".into()],
        // Each of them may satisfy `requires-python`.
        None => std::iter::once("python3".into()).chain(MINORS.iter().map(versioned)).collect(),
    };
    let mut found: Vec<PathBuf> = names.iter().flat_map(|name| which::which_all(name).into_iter().flatten()).collect();
    if let Some(uv) = wanted.uv {
        found.extend(from_uv(uv, wanted).await);
    }
    found.extend(from_pyenv(wanted.version));
    let mut unique = Vec::new();
    for path in found {
        if !unique.contains(&path) {
            unique.push(path);
        }
    }
    unique
}

async fn from_uv(uv: &Path, wanted: &Wanted<'_>) -> Option<PathBuf> {
    let range = || {
        let oldest = format!(">={OLDEST_PYTHON}");
        let ranges: Vec<String> = std::iter::once(oldest).chain(wanted.requires.iter().map(Requires::range)).collect();
        ranges.join(",")
    };
    let request = wanted.version.map_or_else(range, |version| version.to_string());
    let mut command = Command::new(uv);
    command.args(["python", "find", "--system", &request]);
    let printed = output(&mut command, wanted.inherited).await.ok()?;
    Some(PathBuf::from(printed.trim())).filter(|path| path.is_file())
}

// pyenv's shims offer only the selected versions, but the other installed versions are usable too.
fn from_pyenv(version: Option<PythonVersion>) -> Vec<PathBuf> {
    let root = std::env::var_os("PYENV_ROOT").map(PathBuf::from);
    let Some(root) = root.or_else(|| Some(std::env::home_dir()?.join(".pyenv"))) else { return Vec::new() };
    let entries = std::fs::read_dir(root.join("versions")).into_iter().flatten().flatten();
    let mut found: Vec<(usize, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let mut parts = name.split('.');
            let (major, minor) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            let fits = version.is_none_or(|wanted| wanted == PythonVersion { major, minor });
            let rank = MINORS.iter().position(|known| major == 3 && *known == minor);
            fits.then(|| (rank.unwrap_or(MINORS.len()), entry.path().join("bin/python3")))
        })
        .filter(|(rank, path)| (version.is_some() || *rank < MINORS.len()) && path.is_file())
        .collect();
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}

// The error text completes "<path>: ...".
async fn probe(path: &Path, inherited: &Inherited) -> Result<Interpreter, String> {
    let printed = output(Command::new(path).args(["-I", "-S", "-c", PROBE]), inherited).await?;
    let lines: Vec<&str> = printed.lines().map(str::trim).collect();
    let [version, executable, venv] = lines.as_slice() else { return Err("does not answer like Python".into()) };
    Ok(Interpreter {
        path: without_alias(Path::new(executable)),
        version: (*version).to_owned(),
        venv: *venv == "True",
    })
}

// `python3` and `python3.12` in one folder are one interpreter, so they share environments. Links to other folders are
// not resolved: a package manager points them at the current patch release.
fn without_alias(path: &Path) -> PathBuf {
    let target = path.canonicalize().ok();
    let same_folder =
        target.filter(|target| path.parent().and_then(|dir| dir.canonicalize().ok()).as_deref() == target.parent());
    match same_folder.as_deref().and_then(Path::file_name) {
        Some(name) => path.with_file_name(name),
        None => path.to_owned(),
    }
}

async fn output(command: &mut Command, inherited: &Inherited) -> Result<String, String> {
    command.env_clear().envs(inherited.iter()).env_remove("PYTHONHOME").env_remove("__PYVENV_LAUNCHER__");
    command.stdin(Stdio::null()).kill_on_drop(true);
    let result = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = result.map_err(|_| format!("gave no answer within {} s", PATIENCE.as_secs()))?;
    let output = output.map_err(|error| format!("cannot be run ({error})"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let message = String::from_utf8_lossy(&output.stderr);
    let first = message.lines().find(|line| !line.trim().is_empty()).unwrap_or("no message");
    Err(format!("fails ({}): {}", output.status, first.trim()))
}
