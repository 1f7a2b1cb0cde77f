//! Creates folders and files that only this user can read.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::path::Path;

#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};

/// The files by which this module recognises a LangOpen data folder.
const OWN: [&str; 4] = ["langopen.db", "lock", "environments", "host"];

/// Creates the folder with mode 0700 if it is missing. An existing folder gets this mode if it is empty or a LangOpen
/// data folder. A shared folder such as `/tmp` keeps its mode.
pub(crate) fn folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    let ours = !path.exists()
        || OWN.iter().any(|name| path.join(name).exists())
        || std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    builder.create(path)?;
    #[cfg(unix)]
    if ours && let Err(error) = std::fs::set_permissions(path, Permissions::from_mode(0o700)) {
        // A volume may belong to another user, and be accessible to this user through its group.
        tracing::warn!(folder = %path.display(), %error, "access of other users to the data folder cannot be removed");
    }
    Ok(())
}

/// Opens a file for writing, creates it if it is missing, and sets its mode to 0600.
pub(crate) fn file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    options.mode(0o600);
    let file = options.open(path)?;
    close(path)?;
    Ok(file)
}

/// Removes other users' access to a file, if it exists.
pub(crate) fn close(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if path.is_file() {
        return std::fs::set_permissions(path, Permissions::from_mode(0o600));
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).expect("metadata").permissions().mode() & 0o7777
    }

    #[test]
    fn what_is_ours_is_closed_and_nothing_else() {
        let folder_of_test = tempfile::tempdir().unwrap();
        let base = folder_of_test.path();
        folder(&base.join("new/data")).unwrap();
        assert_eq!(mode(&base.join("new/data")), 0o700);

        let (old, shared) = (base.join("old"), base.join("shared"));
        for (path, inside) in [(&old, "langopen.db"), (&shared, "notes.txt")] {
            std::fs::create_dir(path).unwrap();
            std::fs::write(path.join(inside), "").unwrap();
            std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        }
        folder(&old).unwrap();
        folder(&shared).unwrap();
        assert_eq!((mode(&old), mode(&shared)), (0o700, 0o755));

        std::fs::set_permissions(old.join("langopen.db"), Permissions::from_mode(0o644)).unwrap();
        std::fs::write(old.join("langopen.db"), "kept").unwrap();
        drop(file(&old.join("langopen.db")).unwrap());
        assert_eq!(mode(&old.join("langopen.db")), 0o600);
        assert_eq!(std::fs::read_to_string(old.join("langopen.db")).unwrap(), "kept");
        close(&old.join("langopen.db-wal")).unwrap();
    }
}
