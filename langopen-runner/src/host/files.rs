//! The files of the host programs. They are part of this crate, and unpacked to folders from which Python and node can
//! import them.

use std::io;
use std::path::{Path, PathBuf};

use include_dir::{Dir, DirEntry, include_dir};
use sha2::{Digest, Sha256};

static PROGRAM: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/python/langopen_host");
static NODE_PROGRAM: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/node/langopen_host");

/// The name of the folder for [`unpack_node`]. It contains a hash of the program, so different versions do not
/// conflict.
pub(crate) fn node_name() -> String {
    name_of(&files(&NODE_PROGRAM, &["js", "json"]))
}

/// Writes the node program, without the packages that it needs, into `folder`.
pub(crate) fn unpack_node(folder: &Path) -> io::Result<()> {
    write(&files(&NODE_PROGRAM, &["js", "json"]), folder)
}

/// Writes the program below `folder` unless it exists already, and returns the entry for Python's path.
///
/// The folder's name contains a hash of the program, so different versions do not conflict.
pub(crate) fn unpack(folder: &Path) -> io::Result<PathBuf> {
    let files = files(&PROGRAM, &["py"]);
    let target = folder.join(name_of(&files));
    if target.is_dir() {
        return Ok(target);
    }
    std::fs::create_dir_all(folder)?;
    // The files are written to a temporary folder, which is then renamed, so a second process never sees an incomplete
    // folder.
    let staging = tempfile::tempdir_in(folder)?;
    write(&files, &staging.path().join("langopen_host"))?;
    match std::fs::rename(staging.path(), &target) {
        Ok(()) => {
            let _moved = staging.keep();
            Ok(target)
        }
        Err(_) if target.is_dir() => Ok(target),
        Err(error) => Err(error),
    }
}

type File = (&'static Path, &'static [u8]);

fn files(program: &'static Dir<'static>, extensions: &[&str]) -> Vec<File> {
    let mut files = Vec::new();
    collect(program, extensions, &mut files);
    files
}

fn name_of(files: &[File]) -> String {
    let mut hash = Sha256::new();
    for (path, content) in files {
        hash.update(path.as_os_str().as_encoded_bytes());
        hash.update([0]);
        hash.update(content);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn write(files: &[File], folder: &Path) -> io::Result<()> {
    for (path, content) in files {
        let file = folder.join(path);
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(file, content)?;
    }
    Ok(())
}

fn collect(folder: &'static Dir<'static>, extensions: &[&str], files: &mut Vec<File>) {
    for entry in folder.entries() {
        match entry {
            DirEntry::Dir(folder) => collect(folder, extensions, files),
            DirEntry::File(file) => {
                let extension = file.path().extension().and_then(|extension| extension.to_str());
                if extension.is_some_and(|extension| extensions.contains(&extension)) {
                    files.push((file.path(), file.contents()));
                }
            }
        }
    }
}
