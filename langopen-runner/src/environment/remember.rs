//! Caches the interpreter that was found, because shims make the search slow.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::error::EnvironmentError;
use super::hash::Hasher;
use super::python::{self, Interpreter, Wanted};

#[derive(Serialize, Deserialize)]
struct Memory {
    interpreter: Interpreter,
    // The modification time and size of the executable. They change if another program replaces it.
    stamp: (u128, u64),
}

/// Like [`python::find`], but reads the cache in `cache_dir` first.
pub(super) async fn find(wanted: &Wanted<'_>, cache_dir: &Path) -> Result<Interpreter, EnvironmentError> {
    let path = cache_file(wanted, cache_dir);
    if let Some(memory) = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Memory>(&bytes).ok())
        && stamp(&memory.interpreter.path) == Some(memory.stamp)
    {
        return Ok(memory.interpreter);
    }
    let interpreter = python::find(wanted).await?;
    if let Some(stamp) = stamp(&interpreter.path) {
        let memory = Memory { interpreter: interpreter.clone(), stamp };
        if let Err(error) = write(&path, &memory) {
            tracing::debug!(path = %path.display(), %error, "cannot write the cache of interpreters; the next search is slow again");
        }
    }
    Ok(interpreter)
}

fn cache_file(wanted: &Wanted<'_>, cache_dir: &Path) -> PathBuf {
    let mut hasher = Hasher::new();
    hasher.text("version", &wanted.version.map(|version| version.to_string()).unwrap_or_default());
    wanted.requires.iter().for_each(|requires| hasher.text("requires", &requires.range()));
    hasher.path("explicit", wanted.explicit.unwrap_or(Path::new("")));
    hasher.path("uv", wanted.uv.unwrap_or(Path::new("")));
    hasher.text("venv", if wanted.needs_venv { "yes" } else { "no" });
    for name in ["PATH", "PYENV_VERSION", "PYENV_ROOT"] {
        hasher.bytes(name, std::env::var_os(name).unwrap_or_default().as_encoded_bytes());
    }
    cache_dir.join(format!("python-{}.json", hasher.finish()))
}

fn stamp(path: &Path) -> Option<(u128, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((modified.as_nanos(), metadata.len()))
}

fn write(path: &Path, memory: &Memory) -> std::io::Result<()> {
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
    let draft = path.with_extension(format!("{}.tmp", std::process::id()));
    std::fs::write(&draft, serde_json::to_vec(memory)?)?;
    std::fs::rename(&draft, path)
}
