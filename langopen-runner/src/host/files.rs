//! The host program's files: part of this crate, put where Python can import them.

use std::io;
use std::path::{Path, PathBuf};

use include_dir::{Dir, DirEntry, include_dir};
use sha2::{Digest, Sha256};

static PROGRAM: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/python/langopen_host");

/// Writes the program below `folder` unless it is there already, and returns what to put on Python's path.
///
/// The place is named after the program's content, so versions do not disturb each other.
pub(crate) fn unpack(folder: &Path) -> io::Result<PathBuf> {
    let mut files = Vec::new();
    collect(&PROGRAM, &mut files);
    let mut hash = Sha256::new();
    for (path, content) in &files {
        hash.update(path.as_os_str().as_encoded_bytes());
        hash.update([0]);
        hash.update(content);
    }
    let name: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let target = folder.join(name);
    if target.is_dir() {
        return Ok(target);
    }
    std::fs::create_dir_all(folder)?;
    // Made beside its place and moved there whole, so that a second process never sees a part.
    let staging = tempfile::tempdir_in(folder)?;
    for (path, content) in files {
        let file = staging.path().join("langopen_host").join(path);
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(file, content)?;
    }
    match std::fs::rename(staging.path(), &target) {
        Ok(()) => {
            let _moved = staging.keep();
            Ok(target)
        }
        Err(_) if target.is_dir() => Ok(target),
        Err(error) => Err(error),
    }
}

fn collect<'a>(folder: &'a Dir<'a>, files: &mut Vec<(&'a Path, &'a [u8])>) {
    for entry in folder.entries() {
        match entry {
            DirEntry::Dir(folder) => collect(folder, files),
            DirEntry::File(file) if file.path().extension().is_some_and(|extension| extension == "py") => {
                files.push((file.path(), file.contents()));
            }
            DirEntry::File(_) => {}
        }
    }
}
