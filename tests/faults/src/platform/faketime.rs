//! Gives each process its own clock, with Debian's libfaketime, which is loaded before all other libraries.
//!
//! Only the wall clock changes. The monotonic clock stays the same, as on a real machine whose clock is adjusted.

use std::path::{Path, PathBuf};

use crate::error::{Result, io};

/// The variables that make a process and its children read their clock's offset from `file`.
pub(super) fn variables(library: &Path, file: &Path) -> Vec<(&'static str, String)> {
    vec![
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("FAKETIME_DONT_RESET", "1".to_owned()),
        // How many seconds the library caches the offset.
        ("FAKETIME_CACHE_DURATION", "1".to_owned()),
    ]
}

/// Sets the offset.
pub(super) fn write(file: &Path, millis: i64) -> Result<()> {
    let next = file.with_extension("next");
    // The rename is atomic, so that no reader sees half of the offset.
    let written = std::fs::write(&next, format!("{:+.3}\n", millis as f64 / 1000.0));
    written.and_then(|()| std::fs::rename(&next, file)).map_err(io("a clock's offset"))
}

/// The library, if it is installed.
pub(super) fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1")).find(|path| path.is_file())
}
