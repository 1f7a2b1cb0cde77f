//! A small disk that can be filled.

use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// A tmpfs of limited size, mounted on a folder. Only root can create one.
#[derive(Debug)]
pub(crate) struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Returns `None` if the process has no right to mount, or if the system has no mounts.
    pub(crate) fn mount(folder: &Path, mib: u64) -> Option<Self> {
        std::fs::create_dir_all(folder).ok()?;
        let options = std::ffi::CString::new(format!("size={mib}m,mode=755")).ok()?;
        mount("tmpfs", folder, "tmpfs", MountFlags::empty(), options.as_c_str()).ok()?;
        Some(Self { folder: folder.to_owned() })
    }

    /// Fills the disk completely.
    pub(crate) fn fill(&self) {
        let Ok(mut file) = std::fs::File::create(self.ballast()) else { return };
        let block = vec![0; 1 << 16];
        while file.write_all(&block).is_ok() {}
        // Fills the rest byte by byte.
        while file.write_all(&[0]).is_ok() {}
    }

    /// Frees the space.
    pub(crate) fn free(&self) {
        let _ = std::fs::remove_file(self.ballast());
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = unmount(&self.folder, UnmountFlags::DETACH);
    }
}
