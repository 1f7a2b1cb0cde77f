//! Folders and files that only this user reads.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::path::Path;

#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};

/// What marks a data folder as one of ours.
const OWN: [&str; 4] = ["langopen.db", "lock", "environments", "host"];

/// Makes the folder if it is missing, with mode 0700. One that exists gets the mode if it is empty or ours: a folder that
/// others use, such as `/tmp`, must stay open to them.
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
        // A volume may belong to another user, and be open to this one by its group.
        tracing::warn!(folder = %path.display(), %error, "the data folder cannot be closed to other users");
    }
    Ok(())
}

/// Opens a file to write, makes it if it is missing, and gives it the mode 0600.
pub(crate) fn file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    options.mode(0o600);
    let file = options.open(path)?;
    close(path)?;
    Ok(file)
}

/// Closes a file to other users, if it exists.
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
        std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
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
