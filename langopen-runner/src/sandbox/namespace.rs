//! A mount namespace, in which an empty folder covers each hidden one.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

use super::Rules;

/// Hides the paths of the rules in a mount namespace of this process; returns whether it succeeded. `as_user` also
/// tries a user namespace, in which some programs (`ssh`, `sudo`) do not work.
///
/// The process could remove the mounts again, until Landlock forbids it. So Landlock must follow.
pub(super) fn hide(rules: &Rules, as_user: bool) -> bool {
    if rules.hidden.is_empty() {
        return true;
    }
    let (user, group) = (geteuid(), getegid());
    if unshare(CloneFlags::CLONE_NEWNS).is_err() {
        let made = as_user && unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).is_ok();
        let mapped = || {
            std::fs::write("/proc/self/setgroups", "deny")?;
            std::fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
            std::fs::write("/proc/self/gid_map", format!("{group} {group} 1"))
        };
        if !made || mapped().is_err() {
            return false;
        }
    }
    let none = None::<&str>;
    // Mounts of the machine still propagate into the namespace; its own mounts do not propagate out.
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none).is_ok()
        && rules.hidden.iter().all(|path| cover(path, &rules.shown).is_ok())
}

fn cover(hidden: &Path, shown: &[PathBuf]) -> std::io::Result<()> {
    let none = None::<&str>;
    if !hidden.is_dir() {
        mount(Some("/dev/null"), hidden, none, MsFlags::MS_BIND, none)?;
        return Ok(());
    }
    let below: Vec<&PathBuf> = shown.iter().filter(|path| path.starts_with(hidden) && path.is_dir()).collect();
    // Once the hidden folder is covered, only an open file still gives access to the folders below it.
    let open: Vec<File> = below.iter().map(File::open).collect::<Result<_, _>>()?;
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), hidden, Some("tmpfs"), quiet, Some("mode=0700,size=1m"))?;
    for (path, file) in below.iter().zip(&open) {
        std::fs::create_dir_all(path)?;
        let source = format!("/proc/self/fd/{}", file.as_raw_fd());
        mount(Some(source.as_str()), path.as_path(), none, MsFlags::MS_BIND | MsFlags::MS_REC, none)?;
    }
    mount(none, hidden, none, MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | quiet, none)?;
    Ok(())
}
