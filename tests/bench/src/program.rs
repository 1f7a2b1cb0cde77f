//! Where the program that is measured is.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// `langopen`: the one that is named, or the one beside this program, or the one on the PATH.
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
