//! Finds the measured program.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// `langopen`: the program at `named`, beside this one, or on PATH.
pub(crate) fn langopen(named: Option<&Path>) -> Result<PathBuf> {
    let beside = || std::env::current_exe().ok().map(|this| this.with_file_name("langopen"));
    match (named, beside()) {
        (Some(named), _) => found(named),
        (None, Some(path)) if path.is_file() => Ok(path),
        (None, _) => found(Path::new("langopen")),
    }
}

fn found(program: &Path) -> Result<PathBuf> {
    which::which(program).map_err(|error| Error::Option(format!("{}: {error}", program.display())))
}
