//! Resolves paths of the configuration file.

use std::path::{Component, Path, PathBuf};

/// `written` as an absolute path without `.` and `..`. A relative path starts at `base`, which must be absolute.
///
/// Symbolic links are not resolved, so messages show the path that the user knows.
pub(crate) fn resolve(base: &Path, written: &str) -> PathBuf {
    let mut path = PathBuf::new();
    for component in base.join(written).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                path.pop();
            }
            other => path.push(other),
        }
    }
    path
}
